"""IPTC's own block (IIM), in which older programs keep a photo's caption and keywords, in JPEG and TIFF."""

import struct
from collections.abc import Iterator
from typing import Any

from pipeline.images import xmp

RESOURCE = 0x0404
"""The number of the block among Photoshop's resources."""

_TIFF_BLOCK = 33723
_CHARACTERS, _UTF8 = (1, 90), b"\x1b%G"
_TITLE, _KEYWORD, _CREATOR, _HEADLINE, _RIGHTS, _CAPTION = 5, 25, 80, 105, 116, 120
_KEPT = (_TITLE, _KEYWORD, 55, 60, _CREATOR, 85, 90, 92, 95, 100, 101, _HEADLINE, 110, 115, _RIGHTS, _CAPTION, 122)
"""Fields of the block's second record: texts about the photo, its time and its place."""

_MOST_BYTES = 32 * 1024


def block_in(image: Any) -> bytes:
    """Return the fields that a result keeps of the block in an opened picture; empty where it has none."""
    block = image.info.get("photoshop", {}).get(RESOURCE) or getattr(image, "tag_v2", {}).get(_TIFF_BLOCK, b"")
    kept = b"".join(
        struct.pack(">BBBH", 0x1C, *field, len(value)) + value
        for field, value in _fields(block if isinstance(block, bytes) else b"")
        if field == _CHARACTERS or (field[0] == 2 and field[1] in _KEPT)
    )
    return kept if len(kept) <= _MOST_BYTES else b""


def segment(block: bytes) -> bytes:
    """Return the segment of a JPEG that holds a block."""
    padded = block + bytes(len(block) % 2)
    resource = b"8BIM" + struct.pack(">HHI", RESOURCE, 0, len(block)) + padded
    body = b"Photoshop 3.0\0" + resource
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body


def properties(block: bytes) -> xmp.Properties:
    """Return the caption, keywords and names of a block as properties of XMP, for formats that have no such block."""
    fields = list(_fields(block))
    encoding = "utf-8" if (_CHARACTERS, _UTF8) in fields else None
    texts: dict[int, list[str]] = {}
    for (_, number), value in fields:
        texts.setdefault(number, []).append(_decoded(value, encoding))
    of_xmp = {
        xmp.name(tag): xmp.text(texts[number][0])
        for tag, number in (("dc:title", _TITLE), ("dc:description", _CAPTION), ("dc:rights", _RIGHTS))
        if number in texts
    }
    if _KEYWORD in texts:
        of_xmp[xmp.name("dc:subject")] = xmp.items(texts[_KEYWORD])
    if _CREATOR in texts:
        of_xmp[xmp.name("dc:creator")] = xmp.items(texts[_CREATOR], ordered=True)
    return of_xmp


def _fields(block: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield (record, number) and value of each field of a block, up to the first that is damaged."""
    place = 0
    while place + 5 <= len(block) and block[place] == 0x1C:
        record, number, size = struct.unpack_from(">BBH", block, place + 1)
        if size >= 0x8000 or place + 5 + size > len(block):  # longer values are previews
            return
        yield (record, number), block[place + 5 : place + 5 + size]
        place += 5 + size


def _decoded(value: bytes, encoding: str | None) -> str:
    """Return a text without what XML cannot hold; where no encoding is given it is UTF-8, or else Latin-1."""
    try:
        decoded = value.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        decoded = value.decode("latin-1")
    return "".join(letter for letter in decoded if letter.isprintable() or letter in "\n\t")
