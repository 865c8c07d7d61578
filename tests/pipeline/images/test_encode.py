"""Sizes and encoding: what is written can be read back, with what it says of itself."""

import zlib
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.images.decode import ImageInfo, decode, probe, resize
from pipeline.images.encode import DEEP, Format, encode, read_metadata
from pipeline.images.errors import ImageError
from tests.pipeline.images.test_decode import BLUE, GREEN, RED, WHITE, plain, quarters, saved
from tests.pipeline.support.bad_pictures import chunk, good, png

# Sizes


def test_resize() -> None:
    picture = quarters(256, 128)
    assert resize(picture, (128, 256)) is picture
    small = resize(picture, (32, 64))
    assert small.shape == (32, 64, 3)
    for corner, colour in (((4, 4), RED), ((4, 60), GREEN), ((28, 4), BLUE), ((28, 60), WHITE)):
        np.testing.assert_allclose(small[corner], colour, atol=1)
    # Without antialiasing one-pixel stripes would alias into broad ones.
    stripes = np.zeros((128, 256, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    assert resize(stripes, (40, 80))[:, 4:-4].std() < 6
    with pytest.raises(ValueError, match="uint8"):
        resize(picture.astype(np.float32), (8, 8))


# Encoding

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=75)
METADATA = st.dictionaries(KEYS, TEXTS, max_size=5)


FORMAT = st.sampled_from(get_args(Format))


@given(FORMAT, METADATA, st.integers(16, 40), st.integers(16, 40), st.integers(0, 9))
@settings(deadline=None)
def test_round_trip(format: Format, metadata: dict[str, str], height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    data = encode(picture, format=format, metadata=metadata)
    assert data == encode(picture, format=format, metadata=metadata)
    assert read_metadata(data) == metadata
    assert probe(data) == ImageInfo(width, height, format)
    if format in DEEP:
        np.testing.assert_array_equal(decode(data), picture)


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_quality(format: Format) -> None:
    ramp = np.stack(np.broadcast_arrays(np.arange(256)[:, None], np.arange(256)[None], 128), axis=-1).astype(np.uint8)
    best, worst = (encode(ramp, format=format, metadata={}, quality=quality) for quality in (95, 10))
    assert len(worst) < len(best)
    assert np.abs(decode(best).astype(int) - ramp).mean() < 2


@pytest.mark.parametrize("format", ["jpeg", "avif"])
def test_colour_is_kept_at_full_resolution(format: Format) -> None:
    stripes = np.zeros((32, 32, 3), dtype=np.uint8)
    stripes[:, ::2, 0], stripes[:, 1::2, 2] = 255, 255
    decoded = decode(encode(stripes, format=format, metadata={}))
    assert np.abs(decoded.astype(int) - stripes).mean() < 10


def test_metadata_from_elsewhere_is_not_ours() -> None:
    exif = Image.Exif()
    exif[0x010E] = "My holiday"
    assert read_metadata(saved(plain("RGB", RED), "JPEG", exif=exif)) == {}
    assert read_metadata(saved(plain("RGB", RED), "JPEG", exif=b"Exif\0\0garbage")) == {}
    assert read_metadata(good("TIFF")) == {}
    text = chunk(b"tEXt", b"Comment\0by someone")
    data = png(32, 32, zlib.compress(bytes(32 * 97)))
    assert read_metadata(data[:33] + text + data[33:]) == {}
    with pytest.raises(ImageError):
        read_metadata(b"")


@pytest.mark.parametrize(
    ("format", "metadata"),
    [
        ("png", {"": "x"}),
        ("png", {"k" * 76: "x"}),
        ("webp", {"naïve": "x"}),
        ("png", {"key": "a\0b"}),
        ("png", {"key": "\ud800"}),
        ("jpeg", {"key": "x" * 70_000}),
    ],
)
def test_metadata_that_cannot_be_kept(format: Format, metadata: dict[str, str]) -> None:
    with pytest.raises(ImageError):
        encode(quarters(), format=format, metadata=metadata)


def test_too_large_for_the_format() -> None:
    with pytest.raises(ImageError, match="16400 x 16"):
        encode(np.zeros((16, 16400, 3), dtype=np.uint8), format="webp", metadata={})
