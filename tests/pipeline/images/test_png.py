"""PNG with much beside its pixels is read; what it says about its colours counts."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.images import png
from pipeline.images.decode import decode, probe
from pipeline.images.encode import read_metadata
from pipeline.images.errors import ImageError
from pipeline.images.profile import ADOBE_GAMMA, ADOBE_RGB, SRGB, profile_of, srgb
from tests.pipeline.support.bad_pictures import chunk
from tests.support import draw

PHOTO = draw(1, 48, 64)
LARGE = b"word " * 400_000
HEAD, END = 33, -12


def plain(picture: Any = PHOTO) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def with_chunk(kind: bytes, body: bytes, place: int = HEAD, picture: Any = PHOTO) -> bytes:
    data = plain(picture)
    return data[:place] + chunk(kind, body) + data[place:]


TEXTS = {
    "tEXt": (b"tEXt", b"Comment\0" + LARGE),
    "zTXt": (b"zTXt", b"Comment\0\0" + zlib.compress(LARGE)),
    "iTXt": (b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(LARGE)),
    "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(LARGE)),
    "EXIF": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(LARGE)),
    "ours": (b"zTXt", b"nst:id\0\0" + zlib.compress(LARGE)),
}


@pytest.mark.parametrize("place", [HEAD, END])
@pytest.mark.parametrize("kind", TEXTS)
def test_a_large_text_is_dropped_wherever_it_is(kind: str, place: int) -> None:
    data = with_chunk(*TEXTS[kind], place)
    assert probe(data) == probe(plain())
    np.testing.assert_array_equal(decode(data), PHOTO)


def test_hundreds_of_megabytes_of_text_take_no_memory() -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(900_000)))
    data = plain()
    np.testing.assert_array_equal(decode(data[:HEAD] + text * 300 + data[HEAD:]), PHOTO)


def test_a_text_that_is_read_stays() -> None:
    data = with_chunk(b"tEXt", b"nst:id\0mine")
    assert png.cleaned(data).data is data
    assert read_metadata(data) == {"id": "mine"}


def icc_chunk(profile: bytes) -> bytes:
    return b"profile\0\0" + zlib.compress(profile)


def test_a_profile_of_many_megabytes_counts_like_a_small_one() -> None:
    profile = profile_of("Adobe RGB", ADOBE_RGB, ADOBE_GAMMA)
    # Behind its tags, which say where their values are, a profile may have anything.
    large = struct.pack(">I", 3_000_000) + profile[4:] + bytes(3_000_000 - len(profile))
    small = decode(with_chunk(b"iCCP", icc_chunk(profile)))
    assert np.abs(small.astype(int) - PHOTO).max() > 5
    np.testing.assert_array_equal(decode(with_chunk(b"iCCP", icc_chunk(large))), small)


def test_a_profile_without_bounds_is_refused() -> None:
    with pytest.raises(ImageError, match="more than 16 MB"):
        decode(with_chunk(b"iCCP", icc_chunk(bytes(png.MOST_PROFILE + 1))))


def chromaticities(*values: float) -> bytes:
    return struct.pack(">8I", *(round(value * 100_000) for value in values))


def gamma(value: float) -> bytes:
    return struct.pack(">I", round(value * 100_000))


SRGB_POINTS = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
ADOBE_POINTS = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


def as_srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("exponent", [1.0, 1.8, 3.0])
def test_gamma_counts(exponent: float) -> None:
    grey = np.repeat(np.tile(np.arange(32, 224, 4, dtype=np.uint8), (48, 1))[..., None], 3, axis=2)
    expected = as_srgb((grey / 255.0) ** exponent)
    for picture in (grey, grey[..., 0].copy()):
        data = with_chunk(b"gAMA", gamma(1 / exponent), picture=picture)
        assert np.abs(decode(data) - expected).max() <= 2


def test_chromaticities_count_with_gamma() -> None:
    points = chunk(b"cHRM", chromaticities(*ADOBE_POINTS))
    data = with_chunk(b"gAMA", gamma(1 / ADOBE_GAMMA))
    profile = with_chunk(b"iCCP", icc_chunk(profile_of("Adobe RGB", ADOBE_RGB, ADOBE_GAMMA)))
    difference = np.abs(decode(data[:HEAD] + points + data[HEAD:]).astype(int) - decode(profile))
    assert difference.mean() < 1  # a gamma this near 2.2 is taken for sRGB's curve
    assert np.abs(decode(profile).astype(int) - PHOTO).mean() > 2


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"gAMA", gamma(0.45455))],
        [(b"gAMA", gamma(0.45455)), (b"cHRM", chromaticities(*SRGB_POINTS))],
        [(b"sRGB", b"\0"), (b"gAMA", gamma(1))],
        [(b"iCCP", icc_chunk(srgb())), (b"gAMA", gamma(1))],
        [(b"cICP", bytes([1, 13, 0, 1])), (b"gAMA", gamma(1))],
        [(b"gAMA", gamma(0))],
        [(b"gAMA", gamma(0.7)), (b"cHRM", chromaticities(0, 0, 0, 0, 0, 0, 0, 0))],
        [(b"gAMA", gamma(0.7)), (b"cHRM", chromaticities(*[0.3] * 8))],
        [(b"cHRM", chromaticities(*ADOBE_POINTS))],  # without gAMA it means nothing
    ],
)
def test_what_says_srgb_or_nothing_changes_nothing(chunks: list[tuple[bytes, bytes]]) -> None:
    data = plain()
    for kind, body in reversed(chunks):
        data = data[:HEAD] + chunk(kind, body) + data[HEAD:]
    np.testing.assert_array_equal(decode(data), PHOTO)


def test_colours_by_number_come_before_all_else() -> None:
    linear = with_chunk(b"cICP", bytes([1, 8, 0, 1]))
    assert np.abs(decode(linear) - as_srgb(PHOTO / 255.0)).max() <= 2
    data = linear[:HEAD] + chunk(b"iCCP", icc_chunk(profile_of("sRGB", SRGB, "sRGB"))) + linear[HEAD:]
    np.testing.assert_array_equal(decode(data), decode(linear))
    with pytest.raises(ImageError, match="high dynamic range"):
        decode(with_chunk(b"cICP", bytes([9, 16, 0, 1])))


def keyed(bits: int, colours: int, row: bytes, key: bytes) -> bytes:
    """A PNG of 32 x 32 equal pixels, of which one level or colour is transparent."""
    header = struct.pack(">IIBBBBB", 32, 32, bits, colours, 0, 0, 0)
    pixels = zlib.compress((b"\0" + row) * 32)
    chunks = ((b"IHDR", header), (b"tRNS", key), (b"IDAT", pixels), (b"IEND", b""))
    return png.PREFIX + b"".join(chunk(*each) for each in chunks)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_level_is_white_at_any_depth(bits: int) -> None:
    level = (2**bits - 1) // 3
    packed = int("".join(format(level, f"0{bits}b") for _ in range(32)), 2).to_bytes(4 * bits)
    for key, expected in ((level, 255), (level + 1, round(level / (2**bits - 1) * 255))):
        assert (decode(keyed(bits, 0, packed, struct.pack(">H", key))) == expected).all()


def test_a_transparent_colour_of_16_bits_is_refused() -> None:
    colour = struct.pack(">3H", 0x1234, 0x8000, 0xC0DE)
    with pytest.raises(ImageError, match="alpha channel"):
        decode(keyed(16, 2, colour * 32, colour))
    assert (decode(keyed(8, 2, bytes([1, 2, 3]) * 32, struct.pack(">3H", 1, 2, 3))) == 255).all()
