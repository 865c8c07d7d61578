"""The photos of an archive: a folder of any size, listed lazily and filtered."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline import storage
from pipeline.specs import ArchiveSpec, globs
from pipeline.storage import Entry

T = TypeVar("T")


@dataclass
class Selection:
    """The counts of a listing, kept up to date while it goes on.

    Attributes:
        taken: photos that were selected.
        done: rows of photos that an earlier run has done.
        passed_over: files that are no photos of this archive, by reason.
    """

    taken: int = 0
    done: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo that was selected, and its path below the archive's root."""

    entry: Entry
    path: str


def photos(spec: ArchiveSpec, selection: Selection | None = None) -> Iterator[Photo]:
    """Yield the photos of an archive, one at a time, in the order in which its store lists them.

    Args:
        spec: which photos.
        selection: where photos and files that are passed over are counted.

    Raises:
        StorageError: if the archive cannot be listed.
        ValueError: if a filter needs what the store does not list.
    """
    selection = selection if selection is not None else Selection()
    root, reasons = spec.root, _filters(spec)
    for entry in storage.walk(root):
        path = globs.relative(entry.uri, root)
        reason = next((reason for reason, passes in reasons if not passes(entry, path)), None)
        if reason is None:
            selection.taken += 1
            yield Photo(entry, path)
        else:
            selection.passed_over[reason] += 1


_Filter = tuple[str, Callable[[Entry, str], bool]]


def _filters(spec: ArchiveSpec) -> list[_Filter]:
    """Return an archive's filters, each a reason to skip a file and a test that is true for files to keep."""
    pattern, named = spec.pattern, globs.is_glob(spec.photos)
    filters: list[_Filter] = [
        ("hidden", lambda _, path: not globs.is_hidden(path)),
        ("a name that is no UTF-8", lambda _, path: _is_text(path)),
        ("another name", lambda _, path: globs.matches(pattern, path) and (named or globs.is_picture(path))),
    ]
    if spec.include:
        filters.append(("not included", lambda _, path: any(globs.matches(each, path) for each in spec.include)))
    if spec.exclude:
        filters.append(("excluded", lambda _, path: not any(globs.matches(each, path) for each in spec.exclude)))
    least, most, after, before = spec.min_bytes, spec.max_bytes, spec.after, spec.before
    if least is not None:
        filters.append((f"smaller than {least:,} bytes", lambda entry, _: _listed(entry.size, entry, "size") >= least))
    if most is not None:
        filters.append((f"larger than {most:,} bytes", lambda entry, _: _listed(entry.size, entry, "size") <= most))
    if after is not None:
        filters.append(
            (f"older than {after:%Y-%m-%d}", lambda entry, _: _listed(entry.modified, entry, "date") >= after)
        )
    if before is not None:
        filters.append(
            (f"{before:%Y-%m-%d} or newer", lambda entry, _: _listed(entry.modified, entry, "date") < before)
        )
    return filters


def _is_text(path: str) -> bool:
    """Return whether a path can be written as UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:  # bytes that a file system takes for a name, and no table does
        return False
    return True


def _listed(value: T | None, entry: Entry, what: str) -> T:
    """Return what a store lists of a file, or raise ValueError if it does not."""
    if value is None:
        raise ValueError(f"{entry.uri}: its store tells no {what}, so that photos cannot be filtered by it")
    return value
