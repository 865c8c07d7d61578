"""Spoilt files of every accepted format give a picture or an `ImageError`, and never cost a process or its deadline."""

import io
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from pipeline import images
from pipeline.images.errors import FORMATS
from pipeline.options import Decoding

pillow_heif.register_heif_opener()  # to write it

LIMITS = Decoding(decode_timeout=20.0, max_megapixels=4)
MUTATIONS = 120_000

VARIANTS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "JPEG": [("RGB", {}), ("RGB", {"progressive": True}), ("CMYK", {}), ("L", {"restart_marker_blocks": 1})],
    "PNG": [("RGB", {}), ("RGBA", {}), ("P", {}), ("1", {}), ("I;16", {}), ("LA", {})],
    "WEBP": [("RGB", {}), ("RGBA", {"lossless": True}), ("RGB", {"save_all": True})],
    "TIFF": [(mode, {"compression": how}) for mode in ("RGB", "I;16", "F", "1") for how in (None, "tiff_lzw")]
    + [("RGB", {"compression": "jpeg"}), ("CMYK", {"compression": "tiff_lzw"}), ("1", {"compression": "group4"})],
    "GIF": [("P", {}), ("P", {"save_all": True}), ("L", {"interlace": True})],
    "BMP": [("RGB", {}), ("P", {}), ("1", {})],
    "AVIF": [("RGB", {"speed": 10}), ("RGBA", {"speed": 10})],
    "JPEG2000": [("RGB", {}), ("L", {"irreversible": True}), ("RGBA", {"num_resolutions": 2})],
    "PPM": [("RGB", {}), ("L", {}), ("1", {}), ("I;16", {}), ("F", {})],
    "QOI": [("RGB", {}), ("RGBA", {})],
    "HEIF": [("RGB", {"quality": 50})],
}


def sound(format: str) -> Iterator[bytes]:
    """Small sound files of a format, of the kinds that its decoder treats in different ways."""
    noise = np.random.default_rng(1).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode, options in VARIANTS[format]:
        picture = Image.fromarray(noise)
        picture = Image.fromarray(noise[..., 0].astype(np.uint16) * 257) if mode == "I;16" else picture.convert(mode)
        further = {"exif": exif} if format in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") else {}
        frames = {"append_images": [picture.rotate(180)]} if options.get("save_all") else {}
        buffer = io.BytesIO()
        picture.save(buffer, format, **options, **further, **frames)
        yield buffer.getvalue()
    if format == "PPM":
        yield b"P3\n# plain\n16 16\n255\n" + b" ".join(b"%d" % (number % 256) for number in range(768))


def spoilt(data: bytes, chance: random.Random) -> bytes:
    """A copy of a file with some of its bytes changed, taken out, doubled or moved."""
    copy = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 3, 8])):
        place, length = chance.randrange(len(copy)), chance.choice([1, 1, 2, 4, 16])
        match chance.randrange(7):
            case 0:
                copy[place] ^= 1 << chance.randrange(8)
            case 1:
                copy[place : place + length] = chance.randbytes(length)
            case 2:
                copy[place : place + length] = chance.choice([b"\0", b"\xff", b"\x7f", b"\x80"]) * length
            case 3:
                del copy[place : place + length]
            case 4:
                copy[place:place] = copy[place : place + length * 4]
            case 5:
                copy[place : place + length] = copy[(start := chance.randrange(len(copy))) : start + length]
            case _:
                del copy[max(32, place) :]
        if not copy:
            return b""
    return bytes(copy)


def check(format: str, count: int) -> None:
    seeds = list(sound(format))
    for data in seeds:
        assert images.decode(data, limits=LIMITS).dtype == np.uint8
    for number in range(count):
        chance = random.Random(f"{format}{number}")
        data = spoilt(chance.choice(seeds), chance)
        try:
            picture = images.decode(data, limits=LIMITS)
        except images.ImageError as error:
            why = f"{format}, mutation {number}: {error}"
            assert not any(word in why for word in ("crashed its decoder", "was stopped", "GB of memory")), why
            continue
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3


def test_every_accepted_format_is_spoilt() -> None:
    assert VARIANTS.keys() == {*FORMATS, "HEIF"}


@pytest.mark.parametrize("format", VARIANTS)
def test_spoilt_files(format: str) -> None:
    check(format, 60)


@pytest.mark.slow
@pytest.mark.parametrize("format", VARIANTS)
def test_a_hundred_thousand_spoilt_files(format: str) -> None:
    check(format, MUTATIONS // len(VARIANTS))
