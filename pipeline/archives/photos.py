"""The photos of an archive: a folder of any size, listed lazily and filtered."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline import images, storage
from pipeline.outputs import PassedOver
from pipeline.specs import ArchiveSpec, globs
from pipeline.storage import Entry, Omitted

T = TypeVar("T")

_READ_TOGETHER = 512
"""Files of which those without an extension are read side by side."""


@dataclass
class Selection:
    """The counts of a listing, kept up to date while it goes on.

    Attributes:
        taken: photos that were selected.
        done: rows of photos that an earlier run has done.
        failed: rows of photos that no run can read until they change.
        passed_over: files and folders that are no photos of this archive.
    """

    taken: int = 0
    done: int = 0
    failed: int = 0
    passed_over: PassedOver = field(default_factory=PassedOver)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo that was selected, and its path below the archive's root."""

    entry: Entry
    path: str


def photos(spec: ArchiveSpec, selection: Selection | None = None) -> Iterator[Photo]:
    """Yield the photos of an archive, one at a time, in the order in which its store lists them.

    Hidden and excluded folders, and those that systems keep for themselves, are not listed. What cannot be listed or
    looked at is passed over; only the archive's own folder must be there.

    Args:
        spec: which photos.
        selection: where photos are counted, and what is passed over.

    Raises:
        StorageError: if the archive cannot be listed.
        ValueError: if a filter needs what the store does not list.
    """
    selection = selection if selection is not None else Selection()
    passing = _passing(spec, selection.passed_over)
    for photo in _that_are_pictures(passing, selection.passed_over) if spec.extensionless else passing:
        selection.taken += 1
        yield photo


def _passing(spec: ArchiveSpec, passed_over: PassedOver) -> Iterator[Photo]:
    """Yield the files of an archive that pass all filters, and count what does not."""
    root, reasons = spec.root, _filters(spec)

    def omitted(one: Omitted) -> None:
        path = globs.relative(one.uri, root)
        if one.is_folder:
            passed_over.folder(one.reason, path)
        else:
            passed_over.file(one.reason, path, named=True)

    with storage.neighbours_named():
        for entry in storage.walk(root, leave_out=_leave_out(spec), on_omitted=omitted):
            path = globs.relative(entry.uri, root)
            reason = next((reason for reason, passes in reasons if not passes(entry, path)), None)
            if reason is None:
                yield Photo(entry, path)
            else:
                passed_over.file(reason, path)


def _leave_out(spec: ArchiveSpec) -> Callable[[str], str]:
    """Return a function that tells why a folder of an archive is not listed; empty where it is."""
    named = {name for pattern in (spec.pattern, *spec.include) for name in pattern.lower().split("/")}
    system = {name for name in globs.SYSTEM_FOLDERS if name not in named}

    def reason(folder: str) -> str:
        name = folder.rpartition("/")[2]
        if globs.is_hidden(name):
            return "hidden"
        if name.lower() in system:
            return "a folder of the system"
        return "excluded" if any(globs.covers(pattern, folder) for pattern in spec.exclude) else ""

    return reason


def _that_are_pictures(candidates: Iterator[Photo], passed_over: PassedOver) -> Iterator[Photo]:
    """Yield photos, and of files without an extension those that begin like a picture; a few are read side by side."""
    threads = storage.Policy.from_environment().concurrency
    while some := list(itertools.islice(candidates, _READ_TOGETHER)):
        unknown = [photo for photo in some if not globs.extension(photo.path)]
        reasons = dict(zip(unknown, storage.map_in_threads(_why_no_picture, unknown, threads=threads), strict=True))
        for photo in some:
            if reason := reasons.get(photo):
                passed_over.file(reason, photo.path, named=reason == "unreadable")
            else:
                yield photo


def _why_no_picture(photo: Photo) -> str:
    """Return why a file is not taken for a picture, as its first bytes tell; empty if it is."""
    try:
        beginning = storage.read_bytes(photo.entry.uri, end=images.BEGINNING)
    except storage.StorageError:
        return "unreadable"
    return "" if images.begins_like_picture(beginning) else "begins like no picture"


_Filter = tuple[str, Callable[[Entry, str], bool]]


def _filters(spec: ArchiveSpec) -> list[_Filter]:
    """Return an archive's filters, each a reason to skip a file and a test that is true for files to keep."""
    pattern, named = spec.pattern, globs.is_glob(spec.photos)

    def is_photo(path: str) -> bool:
        return named or globs.is_picture(path) or (spec.extensionless and not globs.extension(path))

    filters: list[_Filter] = [
        ("hidden", lambda _, path: not globs.is_hidden(path)),
        ("a name that is no UTF-8", lambda _, path: _is_text(path)),
        ("raw", lambda _, path: named or not globs.is_raw(path)),
        ("another name", lambda _, path: globs.matches(pattern, path) and is_photo(path)),
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
