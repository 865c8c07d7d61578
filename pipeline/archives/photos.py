"""Photo archives: a folder of any size as rows, one for each photo and style, listed lazily."""

import hashlib
import json
import posixpath
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from nst_kernel import StyleParams
from pipeline.manifest.columns import IMAGE_EXTENSIONS
from pipeline.manifest.ids import MAX_NAME
from pipeline.manifest.reader import Row
from pipeline.outputs import table as result_table
from pipeline.specs import globs
from pipeline.specs.fields import Named, Pattern, Section, Text
from pipeline.storage import operations as storage
from pipeline.storage.entry import Entry

T = TypeVar("T")


def _with_a_month(value: object) -> object:
    """A bare number is no year to pydantic, but seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value):
        raise ValueError("a date such as 2026-01-31")
    return value


Moment = Annotated[
    datetime,
    BeforeValidator(_with_a_month),
    AfterValidator(lambda moment: moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)),
    WithJsonSchema({"type": "string", "examples": ["2026-01-31", "2026-01-31T12:00:00Z"]}),
]
"""A time; a day is its first moment, and without a zone it is UTC."""


class ArchiveSpec(Section):
    """Which photos of an archive get which styles, and how results are called and encoded."""

    photos: Pattern = Field(description="A folder, whose pictures are taken, or a pattern such as photos/**/*.jpg.")
    styles: Named = Field(description="Style pictures: a path, a list of them, or names with paths.")
    choose: Literal["all", "round-robin", "random"] = Field(
        "all", description="Of several styles, each photo gets all, the next in turn, or one by chance."
    )
    seed: int = Field(0, ge=0, description="Of the choice by chance.")
    include: tuple[Text, ...] = Field((), description="Take only photos whose path fits one of these patterns.")
    exclude: tuple[Text, ...] = Field((), description="Leave out photos whose path fits one of these patterns.")
    min_bytes: int | None = Field(None, ge=0, description="Leave out smaller files.")
    max_bytes: int | None = Field(None, ge=0, description="Leave out larger files.")
    after: Moment | None = Field(None, description="Leave out files last changed before this time, UTC.")
    before: Moment | None = Field(None, description="Leave out files last changed at this time or later, UTC.")
    format: Literal["keep", "png", "jpg", "webp"] = Field(
        "keep", description="Of results; keep: as the photo, or PNG where its format cannot be written."
    )
    quality: int = Field(95, ge=1, le=100, description="Of JPEG and WebP results.")
    strip: bool = Field(False, description="Leave out the photo's date, camera and place.")
    style_folders: bool | None = Field(
        None, description="Whether results are below a folder for each style; by default if photos may get several."
    )

    @property
    def root(self) -> str:
        """The folder that all photos are below, and paths and names start at."""
        root, pattern = globs.split(self.photos)
        return storage.parent(root) if pattern is None and globs.is_picture(root) else root

    @property
    def pattern(self) -> str:
        """What paths below the root must fit."""
        root, pattern = globs.split(self.photos)
        return pattern or (root.rpartition("/")[2] if globs.is_picture(root) else "**")

    @property
    def by_style(self) -> bool:
        """Whether the style's name is the first folder of a result's name."""
        several = len(self.styles) > 1 or any(map(globs.is_glob, self.styles.values()))
        return self.choose == "all" and several if self.style_folders is None else self.style_folders


@dataclass
class Selection:
    """What a listing came to.

    Attributes:
        taken: photos.
        passed_over: files that are no photos of this archive, by reason.
        done: rows of photos that need nothing, since an earlier run came to them.
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
    """The photos of an archive, one at a time, in the order in which its store lists them.

    Args:
        spec: which photos.
        selection: counts them, and what was passed over.

    Raises:
        StorageError: if the archive cannot be listed.
        ValueError: if a filter asks for what the store does not tell.
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
    """Reasons to pass a file over, and what tells whether it does not apply; only those that are asked for."""
    pattern, named = spec.pattern, globs.is_glob(spec.photos)
    found: list[_Filter] = [
        ("hidden", lambda _, path: not globs.is_hidden(path)),
        ("a name that is no UTF-8", lambda _, path: _is_text(path)),
        ("another name", lambda _, path: globs.matches(pattern, path) and (named or globs.is_picture(path))),
    ]
    if spec.include:
        found.append(("not included", lambda _, path: any(globs.matches(each, path) for each in spec.include)))
    if spec.exclude:
        found.append(("excluded", lambda _, path: not any(globs.matches(each, path) for each in spec.exclude)))
    least, most, after, before = spec.min_bytes, spec.max_bytes, spec.after, spec.before
    if least is not None:
        found.append((f"smaller than {least:,} bytes", lambda entry, _: _told(entry.size, entry, "size") >= least))
    if most is not None:
        found.append((f"larger than {most:,} bytes", lambda entry, _: _told(entry.size, entry, "size") <= most))
    if after is not None:
        found.append((f"older than {after:%Y-%m-%d}", lambda entry, _: _told(entry.modified, entry, "date") >= after))
    if before is not None:
        found.append((f"{before:%Y-%m-%d} or newer", lambda entry, _: _told(entry.modified, entry, "date") < before))
    return found


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # bytes that a file system takes for a name, and no table does
        return False
    return True


def _told(value: T | None, entry: Entry, what: str) -> T:
    if value is None:
        raise ValueError(f"{entry.uri}: its store tells no {what}, so that photos cannot be filtered by it")
    return value


class Chooser:
    """Which of several styles a photo gets.

    `random` asks each style for a number made of the seed, the photo's path and the style's name, and takes the
    highest: other photos have no say, and a new style takes its share from all others without moving the rest.
    `round-robin` gives a photo the style that it had before, as far as that is known; a new one gets the style that
    was given least often so far.
    """

    def __init__(
        self,
        spec: ArchiveSpec,
        styles: Collection[str],
        *,
        before: Callable[[str], str | None] = lambda path: None,
        given: Mapping[str, int] | None = None,
    ) -> None:
        """Args: the archive; names of its styles; the style that the photo at a path had, and how many had each."""
        self._choose, self._seed, self._styles, self._before = spec.choose, spec.seed, tuple(styles), before
        self._given = {name: (given or {}).get(name, 0) for name in styles}

    def __call__(self, path: str) -> tuple[str, ...]:
        """Names of the styles that the photo at this path gets."""
        match self._choose:
            case "all":
                return self._styles
            case "random":
                return (max(self._styles, key=lambda name: digest(self._seed, path, name)),)
            case "round-robin":
                name = self._before(path)
                if name is None or name not in self._given:
                    name = min(self._styles, key=self._given.__getitem__)
                    self._given[name] += 1
                return (name,)


@dataclass(frozen=True, slots=True)
class Asked:
    """A photo with one of its styles, as a row."""

    photo: Photo
    style: str
    row: Row


def asked(spec: ArchiveSpec, photo: Photo, style: str, uri: str, params: StyleParams) -> Asked:
    """The row of a photo and a style.

    Its id stands for the place that the result takes: photo and style, or the photo alone where results are not in a
    folder for each style. So parameters or a style that change make the same row again, and its picture takes the old
    one's place.
    """
    path = output_name(photo.path, spec.format)
    if spec.by_style:
        path = f"{_safe(style)}/{path}"
    place = [photo.path, style] if spec.by_style else [photo.path]
    return Asked(photo, style, Row(digest(*place), photo.entry.uri, uri, path, params, spec.photos, 0))


def output_name(path: str, format: str) -> str:
    """The name of a photo's result: its path, of which nothing but an extension changes.

    Another format is written behind the old one, `a.tif.png`, or behind `~` where there was none: no two photos get
    the same name, whatever else there is in their folder, now or later. For the same reason a photo that is called
    `a.tif.png` itself becomes `a.tif.png.png`.
    """
    folder, slash, name = path.rpartition("/")
    stem, extension = posixpath.splitext(name)
    if not globs.is_picture(extension):
        name += "~"
    wanted = {"keep": IMAGE_EXTENSIONS, "jpg": (".jpg", ".jpeg")}.get(format, (f".{format}",))
    if extension.lower() not in wanted:
        name += ".png" if format == "keep" else f".{format}"
    elif globs.is_picture(stem) or stem.endswith("~"):
        name += extension.lower()
    if len(name.encode()) > MAX_NAME:
        name = f"{name.encode()[:200].decode(errors='ignore')}~{digest(path)}{posixpath.splitext(name)[1]}"
    return "/".join(map(_safe, [*(folder.split("/") if slash else []), name]))


def _safe(name: str) -> str:
    """A part of a path that object stores allow and file systems do not, in another spelling."""
    return name.replace("\\", "%5C") if name.strip(".") else f"%{name.replace('.', '%2E')}"


def digest(*parts: object) -> str:
    """16 hex digits of what is given."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def check_originals_are_safe(spec: ArchiveSpec, output: str) -> None:
    """Find out before any work whether results could be taken for photos, or take their place.

    Raises:
        ValueError: if so; the message says what to do.
    """
    root, pictures = _real(spec.root), _real(result_table.images_folder(output))
    if _is_below(root, pictures):
        raise ValueError(f"output {output}: its pictures would take the place of the originals in {spec.root}")
    place = _real(output)
    if not _is_below(place, root):
        return
    path = globs.relative(place, root)
    if path and any(globs.covers(pattern, path) for pattern in spec.exclude):
        return
    hint = f"; or leave it out: --exclude '{path}/**', in a job file exclude: ['{path}/**']" if path else ""
    raise ValueError(f"output {output} is inside the archive {spec.root}: choose a place outside{hint}")


def _real(uri: str) -> str:
    uri = storage.absolute(uri)
    return uri if storage.is_uri(uri) else str(Path(uri).resolve())


def _is_below(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")
