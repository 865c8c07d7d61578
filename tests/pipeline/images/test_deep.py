"""Files of 16 bits a colour: other programs read every level, and what the file says of itself."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image

from nst_kernel.pictures import to_uint16
from pipeline.images import DEEP, ImageError, Kept, encode, read_metadata
from pipeline.images.decode import decode
from pipeline.images.encode import FORMATS, Format
from pipeline.images.profile import srgb


def levels_of(data: bytes, format: Format) -> NDArray[np.uint16]:
    """The levels of a file as tifffile reads them, or as the PNG specification says."""
    levels = tifffile.imread(io.BytesIO(data)) if format == "tiff" else png_levels(data)
    assert levels.dtype == np.uint16
    return np.asarray(levels)


def png_levels(data: bytes) -> NDArray[np.uint16]:
    """A transcription of PNG (third edition), sections 5, 7 and 9, for RGB of 16 bits whose rows have filter 0 or 1."""
    place, packed = 8, b""
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, height, *rest = struct.unpack(">IIBBBBB", body)
            assert rest == [16, 2, 0, 0, 0]
        packed += body if kind == b"IDAT" else b""
        place += 12 + length
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + 6 * width)
    assert set(rows[:, 0]) <= {0, 1}
    raw = rows[:, 1:].reshape(height, width, 6).astype(np.uint64)
    sums = np.where(rows[:, 0, None, None] == 1, np.cumsum(raw, axis=1), raw) % 256
    return np.asarray(sums[..., 0::2] * 256 + sums[..., 1::2], np.uint16)


def floats(height: int, width: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


@given(st.sampled_from(DEEP), st.integers(16, 90), st.integers(16, 40), st.integers(0, 9))
@settings(deadline=None, max_examples=30)
def test_no_level_is_further_than_half_a_step_from_the_float(
    format: Format, height: int, width: int, seed: int
) -> None:
    picture = floats(height, width, seed)
    data = encode(to_uint16(picture), format=format, metadata={"id": "mine"})
    assert data == encode(to_uint16(picture), format=format, metadata={"id": "mine"})
    error = np.abs(levels_of(data, format) / 65535 - picture.astype(np.float64))
    assert error.max() <= (1 + 1e-9) / 65535 / 2
    assert read_metadata(data) == {"id": "mine"}


@pytest.mark.parametrize("format", DEEP)
def test_a_picture_of_many_strips_is_read_by_others(format: Format) -> None:
    picture = to_uint16(floats(300, 700, 1))
    data = encode(picture, format=format, metadata={"text": "x" * 70_000})
    np.testing.assert_array_equal(levels_of(data, format), picture)
    with Image.open(io.BytesIO(data)) as image:  # Pillow takes the upper byte
        np.testing.assert_array_equal(np.asarray(image), picture >> 8)
    np.testing.assert_array_equal(decode(data), picture >> 8)


@pytest.mark.parametrize("format", DEEP)
def test_it_says_that_it_is_srgb_and_carries_what_the_photo_said(format: Format) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 2.8
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 8.0, 1.5)
    data = encode(to_uint16(floats(20, 30, 1)), format=format, metadata={"id": "mine"}, kept=Kept(exif=exif))
    with Image.open(io.BytesIO(data)) as image:
        assert image.info.get("srgb") == 0 if format == "png" else image.info["icc_profile"] == srgb()
        tags = image.getexif()
        assert tags[ExifTags.Base.Make] == "Canon"
        assert tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] == pytest.approx(2.8)
        assert tags.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (48.0, 8.0, 1.5)
    assert read_metadata(data) == {"id": "mine"}


@pytest.mark.parametrize("format", sorted({*FORMATS.values()} - {*DEEP}))
def test_other_formats_are_refused(format: Format) -> None:
    with pytest.raises(ImageError, match=r"16 bits cannot be written as \w+: .* \.png, \.tif or \.tiff"):
        encode(to_uint16(floats(20, 30, 1)), format=format, metadata={})
