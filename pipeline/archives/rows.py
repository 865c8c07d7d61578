"""The rows of an archive: a photo with a style, its id, and the name of its picture."""

import hashlib
import json
import posixpath
from dataclasses import dataclass

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.archives.photos import Photo
from pipeline.manifest import MAX_NAME, Row
from pipeline.outputs import layout
from pipeline.specs import ArchiveSpec, globs

_KNOWN_FROM_THE_START = (
    *(".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".avif", ".jp2", ".ppm", ".qoi"),
)
"""Extensions of pictures when names of results were laid down. It never grows, or results that people have would be
called otherwise."""

_KEPT = (".png", ".jpg", ".jpeg", ".webp")
"""Extensions that `format: keep` keeps: those that could be written when names of results were laid down. It never
grows either, so that a TIFF's result stays `a.tif.png`."""

_JPEGS = (".jpe", ".jfif")
"""Other extensions of JPEGs, which no result has."""


@dataclass(frozen=True, slots=True)
class PhotoRow:
    """A photo with one of its styles, as a row."""

    photo: Photo
    style: str
    row: Row


def row_of(spec: ArchiveSpec, photo: Photo, style: str, uri: str, params: StyleParams) -> PhotoRow:
    """Return the row of a photo and a style.

    Its id stands for the place of the result: photo and style, or the photo alone where results are not in a folder
    for each style. So changed parameters, or another style, make the same row again, and its picture takes the place of
    the old one.

    Args:
        spec: the archive.
        photo: one of its photos.
        style: name of the style.
        uri: of the style picture.
        params: of all rows.
    """
    path = output_name(photo.path, spec.format)
    if spec.by_style:
        path = f"{_safe(style)}/{path}"
    place = [photo.path, style] if spec.by_style else [photo.path]
    return PhotoRow(photo, style, Row(digest(*place), photo.entry.uri, uri, path, params, spec.photos, 0))


def output_name(path: str, format: str) -> str:
    """Return the name of a photo's result: its path, whose extension alone may change.

    Another format is written behind the old one, `a.tif.png`, or behind `~` where there was none or one that was not
    known from the start, `a~.png`, `a.jfif~.jpg`: no two photos get the same name, whatever else there is in their
    folder, now or later. For the same reason a photo that is called `a.tif.png` itself becomes `a.tif.png.png`.

    Args:
        path: of the photo, below the archive's root.
        format: `keep`, `png`, `jpg`, `webp`, `tif` or `avif`.
    """
    folder, slash, name = path.rpartition("/")
    stem, extension = posixpath.splitext(name)
    kind = extension.lower()
    if kind not in _KNOWN_FROM_THE_START:
        name += "~"
    wanted = {"keep": _KEPT, "jpg": (".jpg", ".jpeg"), "tif": (".tif", ".tiff")}.get(format, (f".{format}",))
    if kind not in wanted:
        name += f".{format}" if format != "keep" else ".jpg" if kind in _JPEGS else ".png"
    elif stem.lower().endswith(_KNOWN_FROM_THE_START) or stem.endswith("~"):
        name += kind
    if len(name.encode()) > MAX_NAME:
        name = f"{name.encode()[:200].decode(errors='ignore')}~{digest(path)}{posixpath.splitext(name)[1]}"
    return "/".join(map(_safe, [*(folder.split("/") if slash else []), name]))


def _safe(name: str) -> str:
    """Return a part of a path in a spelling that file systems allow, as object stores allow more."""
    return name.replace("\\", "%5C") if name.strip(".") else f"%{name.replace('.', '%2E')}"


def digest(*parts: object) -> str:
    """Return a hash of the given values as 16 hex digits."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def check_originals_are_safe(spec: ArchiveSpec, output: str) -> None:
    """Raise if results could be taken for photos of the archive, or take their place.

    Raises:
        ValueError: if they could; the message says what to do.
    """
    root, pictures = storage.canonical(spec.root), storage.canonical(layout.images_folder(output))
    if storage.is_within(root, pictures):
        raise ValueError(f"output {output}: its pictures would take the place of the originals in {spec.root}")
    # The folder of the pictures may itself be a link, from an output elsewhere into the archive.
    place = next((each for each in (storage.canonical(output), pictures) if storage.is_within(each, root)), None)
    if place is None:
        return
    path = globs.relative(place, root)
    if path and any(globs.covers(pattern, path) for pattern in spec.exclude):
        return
    whole = f"{globs.escaped(path)}/**"
    hint = f"; or leave it out: --exclude '{whole}', in a job file exclude: ['{whole}']" if path else ""
    raise ValueError(f"output {output} is inside the archive {spec.root}: choose a place outside{hint}")
