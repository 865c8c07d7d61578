"""HEIF and HEIC, as phones write them, are read as any other picture, or refused with the reason."""

import io
import struct
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from pipeline.images.decode import ImageInfo, decode, probe
from pipeline.images.errors import ImageError
from pipeline.images.profile import ADOBE_GAMMA, ADOBE_RGB, profile_of
from tests.support import draw

pillow_heif.register_heif_opener()

PHOTO = draw(1, 96, 128)


def heic(picture: Any = PHOTO, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "HEIF", **{"quality": 95, "chroma": 444, **options})
    return buffer.getvalue()


def test_a_photo_of_a_phone_is_read() -> None:
    data = heic()
    assert data[4:11] == b"ftyphei"
    assert probe(data) == ImageInfo(128, 96, "heif")
    assert np.abs(decode(data).astype(int) - PHOTO).mean() < 4


def test_it_is_turned_upright_once() -> None:
    """HEIF turns by a property of its own; the EXIF that lies beside it says the same, and is not to turn it again."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = heic(np.ascontiguousarray(np.rot90(PHOTO)), exif=exif.tobytes())
    assert probe(data) == ImageInfo(128, 96, "heif")
    assert np.abs(decode(data).astype(int) - PHOTO).mean() < 4


def test_transparency_is_laid_on_white() -> None:
    clear = np.concatenate([PHOTO, np.zeros((96, 128, 1), np.uint8)], axis=2)
    assert decode(heic(clear)).min() > 250


def test_its_colour_profile_counts() -> None:
    wide = profile_of("Adobe RGB", ADOBE_RGB, ADOBE_GAMMA)
    expected = ImageCms.profileToProfile(
        Image.fromarray(PHOTO), ImageCms.ImageCmsProfile(io.BytesIO(wide)), ImageCms.createProfile("sRGB")
    )
    assert np.abs(decode(heic(icc_profile=wide)).astype(int) - np.asarray(expected)).mean() < 4


def test_the_primary_of_several_pictures_is_taken() -> None:
    file = pillow_heif.from_pillow(Image.fromarray(255 - PHOTO))
    file.add_from_pillow(Image.fromarray(PHOTO))
    buffer = io.BytesIO()
    file.save(buffer, primary_index=1, quality=95, chroma=444)
    assert np.abs(decode(buffer.getvalue()).astype(int) - PHOTO).mean() < 4


@pytest.mark.filterwarnings("ignore")
def test_a_part_of_a_file_is_refused() -> None:
    data = heic()
    for tenth in range(10):
        with pytest.raises(ImageError):
            decode(data[: len(data) * tenth // 10])


def test_a_size_beyond_the_limit_is_refused_by_the_header() -> None:
    with pytest.raises(ImageError, match="128 x 96 pixels are more than"):
        probe(heic(), max_pixels=1000)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
def test_high_dynamic_range_is_refused_by_name(transfer: int, name: str, format: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, format, quality=95)
    data = bytearray(buffer.getvalue())
    place = data.index(b"colrnclx") + 8
    struct.pack_into(">HH", data, place, 9, transfer)
    with pytest.raises(ImageError, match=f"high dynamic range .{name}.: export it"):
        decode(bytes(data))


@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
def test_wide_colours_may_be_given_by_number(format: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), (200, 60, 60), np.uint8)).save(buffer, format, quality=100)
    data = bytearray(buffer.getvalue())
    struct.pack_into(">HH", data, data.index(b"colrnclx") + 8, 12, 13)
    red, green, blue = decode(bytes(data))[32, 32]
    # Display P3's red is further out than sRGB's.
    assert red > 206
    assert max(green, blue) < 58
