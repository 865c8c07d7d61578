"""JPEG's compressed data: whether all of it is there, which its decoder does not say."""

import hashlib
import io
import re
from collections.abc import Iterator

from PIL import Image

from pipeline.images.errors import Unreadable

PREFIX = b"\xff\xd8\xff"
_END = b"\xff\xd9"
_MARK = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""A mark that ends compressed data: not 00, which is data, not D0 to D7, which restart it, not FF, which fills it."""

_ANY_MARK = re.compile(rb"\xff[\x01-\xfe]")
_ZEROS = bytes(64)
"""As long a run of zeros is in compressed data only where a picture is flat, or where data is lost."""

_STANDALONE = (0x01, *range(0xD0, 0xD8))
_SCAN, _END_CODE = 0xDA, 0xD9


def whole(data: bytes) -> bytes:
    """Return a JPEG as its decoder wants it, with its end mark if that alone is missing; other files as they are.

    The decoder invents pixels where compressed data is missing, and takes zeros, with which recovery programs and
    failed copies fill what they lost, for data. Pixels are all there if they change with the last data, but not with
    more of it.

    Raises:
        ImageError: if pixels are missing.
    """
    start = first_scan(data)
    if start is None:
        return data
    if data.endswith(_END) and data.find(_ZEROS, start) < 0:
        return data
    end = _end_of_scans(data, start)
    closed = data if end is not None else data + _END
    marks = set(_marks_after_zeros(closed, start, len(data) if end is None else end))
    pixels = _pixels(closed)
    if end is None and _pixels(_longer_before(closed, len(data))) != pixels:
        raise Unreadable("the picture is truncated, its last pixels are missing: fetch or export it again")
    for mark in marks:
        if _pixels(_changed_before(closed, mark)) == pixels or _pixels(_longer_before(closed, mark)) != pixels:
            raise Unreadable(
                "the picture is damaged, part of it is zeros, as a failed copy or recovery leaves it: fetch it again"
            )
    return closed


def first_scan(data: bytes) -> int | None:
    """Return where a JPEG's compressed data begins; None where there is none, or the file is no JPEG."""
    if not data.startswith(PREFIX):
        return None
    return _scan_after(data, 2)


def _scan_after(data: bytes, place: int) -> int | None:
    """Return where the next compressed data begins, from a place between segments on; None where there is none."""
    while place + 4 <= len(data) and data[place] == 0xFF:
        code = data[place + 1]
        if code == 0xFF:
            place += 1
        elif code in _STANDALONE:
            place += 2
        elif code == _END_CODE:
            return None
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4])
            if code == _SCAN:
                return place
    return None


def _end_of_scans(data: bytes, start: int) -> int | None:
    """Return where the end mark is that follows the compressed data, which begins at `start`; None if it is missing."""
    scan: int | None = start
    while scan is not None:
        mark = _MARK.search(data, scan)
        if mark is None:
            return None
        if data[mark.start() + 1] == _END_CODE:
            return mark.start()
        scan = _scan_after(data, mark.start())
    return None


def _marks_after_zeros(data: bytes, start: int, end: int) -> Iterator[int]:
    """Yield where the data ends that follows the first and the last run of zeros; nothing if there is none."""
    runs = (data.find(_ZEROS, start, end), data.rfind(_ZEROS, start, end))
    for run in sorted({run for run in runs if run >= 0}):
        mark = _ANY_MARK.search(data, run)
        if mark:
            yield mark.start()


def _changed_before(data: bytes, mark: int) -> bytes:
    """Return a JPEG whose last bytes of compressed data before a mark are others, and no mark."""
    place = mark - 3 if data[mark - 5] == 0xFF else mark - 4  # FF 00 is one byte of data: it stays whole
    others = bytes(byte ^ 0x55 or 0x33 for byte in data[place:mark]).replace(b"\xff", b"\x33")
    return data[:place] + others + data[mark:]


def _longer_before(data: bytes, mark: int) -> bytes:
    """Return a JPEG with more compressed data before a mark; its pixels are the same unless some were missing."""
    return data[:mark] + b"\x55\xaa" * 32 + data[mark:]


def _pixels(data: bytes) -> bytes:
    """Return a digest of a JPEG's pixels; empty if it has none."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            return hashlib.blake2b(image.tobytes()).digest()
    except OSError:
        return b""
