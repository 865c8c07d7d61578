"""PNG's chunks: what Pillow refuses or does not read is taken out or read before it."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.images.errors import ImageError

PREFIX = b"\x89PNG\r\n\x1a\n"

MOST_TEXT = 1024 * 1024
"""Unpacked bytes of a text or a colour profile from which on Pillow refuses the picture."""

MOST_PROFILE = 16 * 1024 * 1024
"""Unpacked bytes that a colour profile may have. Those of printers have several million."""

_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_LOOKED_AT = (*_TEXT_CHUNKS, b"iCCP", b"cICP", b"tRNS")
_GREY, _COLOUR = 0, 2
_LEVEL = 4  # of compression, as of pictures with 8 bits
_COLOURS = {3: _COLOUR, 4: 6}  # by channels
_OURS = b"nst:"
_READ = (b"XML:com.adobe.xmp", b"Raw profile type exif", b"Title", b"Description", b"Author", b"Copyright")
"""Keywords of texts that are read besides ours; no others are unpacked."""


@dataclass(frozen=True)
class Cleaned:
    """A PNG that Pillow reads.

    Attributes:
        data: the file.
        info: what Pillow does not read of it, by the names of `Image.info`: a large `icc_profile`, the level that is
            transparent where levels have fewer than 8 bits, and `cicp`, the numbers of primaries and of the transfer
            function by ITU-T H.273.
    """

    data: bytes
    info: dict[str, bytes | int | tuple[int, int]]


def cleaned(data: bytes) -> Cleaned:
    """Return a PNG without texts that nothing here reads, and without a colour profile that is too large for Pillow.

    Raises:
        ImageError: for a colour profile of more than `MOST_PROFILE`, and for a transparent colour of 16 bits.
    """
    kept: list[bytes] = []
    info: dict[str, bytes | int | tuple[int, int]] = {}
    copied = 0
    for kind, start, end in _chunks(data):
        if kind not in _LOOKED_AT:
            continue
        body = data[start + 8 : end - 4]
        is_large = False
        if kind == b"cICP" and len(body) == 4:
            info["cicp"] = (body[0], body[1])
        elif kind == b"tRNS" and (level := _transparent_level(data[24:26], body)) is not None:
            info["transparency"] = level
        elif kind == b"iCCP" and (profile := _large_profile(body)):
            info["icc_profile"], is_large = profile, True
        if is_large or (kind in _TEXT_CHUNKS and not _is_read(kind, body)):
            kept.append(data[copied:start])
            copied = end
    return Cleaned(b"".join([*kept, data[copied:]]) if kept else data, info)


def without_pixels(data: bytes) -> bytes:
    """Return a PNG with everything that is written about its pixels, and none of them."""
    others = b"".join(data[start:end] for kind, start, end in _chunks(data) if kind not in (b"IDAT", b"IEND"))
    return PREFIX + others + _chunk(b"IDAT") + _chunk(b"IEND")


def with_pixels(data: bytes, pixels: NDArray[np.uint16]) -> bytes:
    """Return a PNG with a picture of 16 bits, (H, W, 3) or (H, W, 4), for its own, and all else that it has.

    Pillow writes RGB with 8 bits alone. Each level is written as the difference to its left neighbour (filter 1), which
    makes files a tenth smaller than none; choosing the best filter row by row gains 2 % on that.
    """
    height, width, channels = pixels.shape
    written = [PREFIX]
    for kind, start, end in _chunks(data):
        if kind == b"IHDR":
            written.append(_chunk(kind, struct.pack(">IIBBBBB", width, height, 16, _COLOURS[channels], 0, 0, 0)))
        elif kind == b"IEND":
            written += [_chunk(b"IDAT", _packed(pixels)), data[start:end]]
        elif kind != b"IDAT":
            written.append(data[start:end])
    return b"".join(written)


def _packed(pixels: NDArray[np.uint16]) -> bytes:
    """Return the rows of a picture of 16 bits, filtered and packed."""
    packer, whole = zlib.compressobj(_LEVEL), []
    pixel = 2 * pixels.shape[2]  # bytes
    for row in pixels.astype(">u2"):
        levels = row.reshape(-1).view(np.uint8)
        filtered = levels.copy()
        filtered[pixel:] -= levels[:-pixel]
        whole.append(packer.compress(b"\1" + filtered.tobytes()))
    return b"".join([*whole, packer.flush()])


def _chunk(kind: bytes, body: bytes = b"") -> bytes:
    """Return a chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, the start and the end of each whole chunk of a PNG."""
    place, kind = len(PREFIX), b""
    while place + 12 <= len(data) and kind != b"IEND":
        (length,) = struct.unpack_from(">I", data, place)
        kind, end = data[place + 4 : place + 8], place + 12 + length
        if end > len(data):
            return
        yield kind, place, end
        place = end


def _is_read(kind: bytes, body: bytes) -> bool:
    """Return whether a text is one that is read, and Pillow accepts its size."""
    keyword, _, rest = body.partition(b"\0")
    if not (keyword.startswith(_OURS) or keyword in _READ):
        return False
    if kind == b"tEXt":
        return len(body) < MOST_TEXT
    packed = rest[1:] if kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1] if rest[:1] == b"\1" else b""
    return len(_unpacked(packed, MOST_TEXT)) < MOST_TEXT


def _transparent_level(header: bytes, body: bytes) -> int | None:
    """Return the level of 8 bits that is transparent in a picture of fewer; None for all others, as Pillow reads them.

    Args:
        header: bits of a level, and the number of the kind of colours.
        body: of the chunk.
    """
    bits, colours = header
    if (bits, colours) == (16, _COLOUR):
        raise ImageError("one of its colours, of 16 bits each, is transparent: export it with an alpha channel instead")
    if colours != _GREY or bits not in (2, 4) or len(body) != 2:
        return None
    return min(int.from_bytes(body) * 255 // ((1 << bits) - 1), 255)


def _large_profile(body: bytes) -> bytes | None:
    """Return the colour profile of an iCCP chunk if Pillow would refuse it for its size."""
    profile = _unpacked(body.partition(b"\0")[2][1:], MOST_PROFILE + 1)
    if len(profile) > MOST_PROFILE:
        raise ImageError("its colour profile has more than 16 MB: export the picture in sRGB")
    return profile if len(profile) >= MOST_TEXT else None


def _unpacked(packed: bytes, most: int) -> bytes:
    """Return the first `most` bytes of what zlib packed; nothing where that is damaged."""
    try:
        return zlib.decompressobj().decompress(packed, most)
    except zlib.error:
        return b""
