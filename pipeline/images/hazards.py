"""Files that would keep their decoder busy out of all proportion to their size, known from their structure alone."""

import itertools
import re
import struct
from collections.abc import Iterator

MAX_SCANS = 100
"""Scans of a JPEG: each goes over the whole picture again. Encoders write ten, a file of 750 kB can have 3,000."""

MAX_RUN_LENGTH_PIXELS = 16_000_000
"""Pixels of a BMP that is compressed by run lengths: Pillow decodes it in Python, 36 s for a file of 2 kB."""

MAX_COMMENTS = 1000
"""Comments of a plain PPM: Pillow copies up to a megabyte for each."""

MAX_HEADER = 64 * 1024
"""Bytes of a PPM's header, which Pillow reads one by one."""

_PPM = re.compile(rb"P[1-6](?=[\s#])")
_PPM_HEADER = re.compile(rb"P[1-6](?:(?:\s|#[^\r\n]*+[\r\n])++\d++)(?:(?:\s|#[^\r\n]*+[\r\n])++\d++)")
_JPEG_MARKER = re.compile(rb"\xff++([^\x00\xff\xd0-\xd8\x01])")
_SCAN, _END = 0xDA, 0xD9
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})


def hazard(data: bytes) -> str | None:
    """Return why a file is not decoded although it may be a picture; None for almost every picture.

    Args:
        data: the file, or its beginning.
    """
    if data.startswith(b"\xff\xd8\xff"):
        if any(True for _ in itertools.islice(_scans(data), MAX_SCANS, None)):
            return f"the JPEG has more than {MAX_SCANS} scans: save it again"
    elif data.startswith(b"BM"):
        pixels = _run_length_pixels(data)
        if pixels > MAX_RUN_LENGTH_PIXELS:
            return f"the BMP is compressed by run lengths, which takes too long for {pixels} pixels: save it as PNG"
    elif _PPM.match(data):
        if len(data) > MAX_HEADER and not _PPM_HEADER.match(data, 0, MAX_HEADER):
            return f"the header of the PPM has more than {MAX_HEADER // 1024} kB: save it as PNG"
        if data[1:2] in b"123" and data.count(b"#") > MAX_COMMENTS:
            return f"the PPM has more than {MAX_COMMENTS} comments: save it as PNG"
    return None


def _run_length_pixels(data: bytes) -> int:
    """Return how many pixels a BMP has if it is compressed by run lengths, else 0."""
    if len(data) < 34 or data[14] < 40:
        return 0
    width, height, _, _, compression = struct.unpack_from("<iiHHI", data, 18)
    return abs(width * height) if compression in (1, 2) else 0


def _scans(data: bytes) -> Iterator[int]:
    """Yield the offset of each scan of a JPEG that its decoder would read; none if it reads the first one only."""
    place, components, progressive = 2, 0, False
    while (match := _JPEG_MARKER.search(data, place)) and match[1][0] != _END:
        marker, place = match[1][0], match.end()
        if marker in _FRAMES:
            progressive, components = marker in _PROGRESSIVE, data[place + 7] if place + 7 < len(data) else 0
        elif marker == _SCAN:
            # A scan that has all components is the whole picture, unless it is one of many refinements.
            if not progressive and data[place + 2 : place + 3] == bytes([components]):
                return
            yield place
        place += int.from_bytes(data[place : place + 2], "big")
