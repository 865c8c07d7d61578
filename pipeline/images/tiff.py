"""TIFF's directories: which page of a file is its picture, and whether the file is a camera's raw."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from PIL import Image

from pipeline.images import tiff_kinds
from pipeline.images.errors import ImageError
from pipeline.images.tiff_kinds import BITS, COMPRESSION, EXTRA_SAMPLES, PHOTOMETRIC, SAMPLE_FORMAT, SAMPLES

PREFIXES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and of BigTIFF, in both byte orders."""

_BIG_ENDIAN_BIG = PREFIXES[3]

NO_ALPHA = "no alpha"
"""The name in `Image.info` of what `has_no_alpha` returned."""

_WIDTH, _HEIGHT = 256, 257
_KIND, _OLD_KIND, _PLANAR, _SUB_PAGES, _DNG_VERSION = 254, 255, 284, 330, 50706
_SEPARATE = 2
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2
_SENSOR = (32803, 34892)
"""Photometric interpretations of what a sensor saw, before it is made a picture: colour filter array, linear raw."""

_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MOST_PAGES, _MOST_TAGS, _MOST_VALUES = 64, 4096, 64


@dataclass(frozen=True)
class _Page:
    """A directory of a file: its offset, whether another one contains it, and its tags that hold integers."""

    offset: int
    contained: bool
    tags: dict[int, tuple[int, ...]]

    def first(self, tag: int) -> int:
        """Return the first value of a tag; 0 if the page lacks it."""
        return (self.tags.get(tag) or (0,))[0]

    @property
    def is_raw(self) -> bool:
        return _DNG_VERSION in self.tags or self.first(PHOTOMETRIC) in _SENSOR

    @property
    def is_mask(self) -> bool:
        return bool(self.first(_KIND) & _MASK)

    @property
    def is_whole(self) -> bool:
        """Whether this is a picture at full size: neither a reduced copy of another page nor a mask for one."""
        return not (self.first(_KIND) & _REDUCED or self.is_mask or self.first(_OLD_KIND) == _OLD_REDUCED)

    @property
    def pixels(self) -> int:
        return self.first(_WIDTH) * self.first(_HEIGHT)


def stream(data: bytes) -> io.BytesIO:
    """Return a TIFF file to be read, whose first page is the first that is no reduced copy of another.

    Raises:
        ImageError: for the raw of a camera, whose pages are previews, for a file that has reduced copies alone, and for
            bands of which Pillow makes a wrong picture.
    """
    opened, pages = io.BytesIO(data), _Pages(data)
    page = _picture(pages, is_canon=data.startswith(b"CR", 8))
    if page:
        _check_bands(page)
    if page and page.offset != pages.first:
        pages.write_first(opened, page.offset)
    return opened


def why_unread(data: bytes) -> str | None:
    """Return what a TIFF is that Pillow does not open, and how to convert it; None where its tags do not tell."""
    if data.startswith(_BIG_ENDIAN_BIG):
        return tiff_kinds.BIG_ENDIAN_BIG
    page = _picture(_Pages(data), is_canon=False)
    return tiff_kinds.refusal(page.tags) if page and page.pixels else None


def _picture(pages: "_Pages", *, is_canon: bool) -> _Page | None:
    """Return the page that is the picture; None where there are no pages, which Pillow will say.

    Where each is called a reduced copy, the largest is what the others are copies of.
    """
    whole: _Page | None = None
    reduced: list[_Page] = []
    for page in islice(pages, _MOST_PAGES):
        if page.is_raw or is_canon:
            raise ImageError(
                "the file is a camera's raw (such as DNG, NEF, CR2, ARW), not a picture yet: develop it and export a "
                "TIFF, PNG or JPEG"
            )
        if whole and not page.contained:
            break  # what the page contains was looked at: a raw's preview may come before what the sensor saw
        if page.is_whole:
            whole = whole or page
        elif not page.is_mask:
            reduced.append(page)
    if whole or not reduced:
        return whole
    largest = max(reduced, key=lambda page: page.pixels)
    if pages.cut or largest.pixels == min(page.pixels for page in reduced):
        raise ImageError(
            "the TIFF holds only reduced copies of its picture, or is cut short before the picture itself: export it "
            "again at full size"
        )
    return largest


def _check_bands(page: _Page) -> None:
    """Raise ImageError for bands that are no colours, and for those that Pillow mixes up."""
    bands = page.first(SAMPLES)
    if page.tags.get(PHOTOMETRIC) in ((0,), (1,)) and bands >= 3:
        raise ImageError(f"its {bands} bands are not called red, green and blue: export those three as RGB")
    if page.first(_PLANAR) == _SEPARATE and page.first(COMPRESSION) in (0, 1) and page.first(BITS) > 8 and bands > 1:
        raise ImageError("its bands, of 16 bits, lie one behind the other: save it interleaved, or compressed (LZW)")


def has_no_alpha(image: Image.Image) -> bool:
    """Return whether the fourth band of a TIFF is not said to be opacity; it may be infrared, which is left out."""
    return hasattr(image, "tag_v2") and EXTRA_SAMPLES not in image.tag_v2


class _Pages:
    """The pages of a file in order, each before those that it contains.

    Attributes:
        first: the offset of the first page.
        cut: whether a page was left out because the file ends before it.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._order = data, "<" if data.startswith(b"II") else ">"
        self._big = data[2:4] in (b"+\0", b"\0+")
        self.first, self.cut = self._read_first(), False

    def __iter__(self) -> Iterator[_Page]:
        todo, seen = [(self.first, False)], {0}
        while todo:
            offset, contained = todo.pop()
            if offset in seen:
                continue
            seen.add(offset)
            try:
                tags, following = self._directory(offset)
            except struct.error:
                self.cut = True
                continue
            yield _Page(offset, contained, tags)
            if not contained:
                todo.append((following, False))
            todo += [(offset, True) for offset in reversed(tags.get(_SUB_PAGES, ()))]

    def write_first(self, file: io.BytesIO, offset: int) -> None:
        """Make another page the first one of a copy of the file."""
        file.seek(8 if self._big else 4)
        file.write(struct.pack(self._order + ("Q" if self._big else "I"), offset))
        file.seek(0)

    def _read_first(self) -> int:
        """Return the offset of the first page; 0 where the file is too short to say."""
        if len(self._data) < 16:
            return 0
        return self._unpack("Q", 8)[0] if self._big else self._unpack("I", 4)[0]

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + layout, self._data, offset)

    def _directory(self, offset: int) -> tuple[dict[int, tuple[int, ...]], int]:
        """Return the tags of a directory that hold integers, and the offset of the next directory.

        Raises:
            struct.error: if it lies beyond the file's end.
        """
        head, entry, field = ("Q", "HHQ", 8) if self._big else ("H", "HHI", 4)
        count = self._unpack(head, offset)[0]
        start, size = offset + struct.calcsize("=" + head), struct.calcsize("=" + entry) + field
        tags: dict[int, tuple[int, ...]] = {}
        for at in range(start, start + min(count, _MOST_TAGS) * size, size):
            tag, kind, number = self._unpack(entry, at)
            if kind not in _INTEGERS:
                continue
            layout = f"{min(number, _MOST_VALUES)}{_INTEGERS[kind]}"
            value = at + size - field
            if number * struct.calcsize("=" + _INTEGERS[kind]) > field:
                if tag not in (_SUB_PAGES, PHOTOMETRIC, BITS, SAMPLE_FORMAT, EXTRA_SAMPLES):
                    continue  # long lists, such as of strips, are of no use here
                value = self._unpack("Q" if self._big else "I", value)[0]
            tags[tag] = self._unpack(layout, value)
        return tags, self._unpack("Q" if self._big else "I", start + count * size)[0]
