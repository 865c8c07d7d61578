"""Profiles that are made here are what they say; and what a camera says without a profile counts."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from pipeline.images.decode import decode
from pipeline.images.profile import (
    ADOBE_GAMMA,
    ADOBE_RGB,
    BT2020,
    DISPLAY_P3,
    SRGB,
    Curve,
    Primaries,
    profile_of,
    srgb,
)
from tests.support import draw

PHOTO = draw(1, 48, 64)


def converted(profile: bytes, picture: Any = PHOTO) -> Any:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(picture), source, ImageCms.createProfile("sRGB")))


def test_the_srgb_that_is_written_is_that_of_lcms() -> None:
    assert np.abs(converted(srgb()).astype(int) - PHOTO).max() <= 1
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(srgb()))).strip() == "sRGB"
    assert srgb() == profile_of("sRGB", SRGB, "sRGB")
    assert len(srgb()) < 600


@pytest.mark.parametrize(
    ("primaries", "curve"), [(ADOBE_RGB, ADOBE_GAMMA), (DISPLAY_P3, "sRGB"), (BT2020, "sRGB"), (SRGB, 1.0)]
)
def test_a_profile_has_the_colours_of_its_primaries(primaries: Primaries, curve: Curve) -> None:
    """By the definition of XYZ, without adaptation: all these spaces have the same white."""

    def light(space: Primaries) -> Any:
        columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in (space.red, space.green, space.blue)]).T
        white = np.array([space.white[0] / space.white[1], 1, (1 - sum(space.white)) / space.white[1]])
        return columns * np.linalg.solve(columns, white)

    colours = np.array([[128, 128, 128], [150, 120, 100], [90, 110, 100], [200, 190, 180]], dtype=np.uint8)[None]
    levels = colours / 255.0
    srgb_light = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    seen = srgb_light if isinstance(curve, str) else levels**curve
    linear = seen @ (np.linalg.inv(light(SRGB)) @ light(primaries)).T
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055) * 255
    assert np.abs(converted(profile_of("test", primaries, curve), colours) - expected).max() <= 1.5


@pytest.mark.parametrize("curve", [0.0, -1.0, 1000.0])
def test_a_curve_that_is_none_is_refused(curve: float) -> None:
    with pytest.raises(ValueError, match="no curve"):
        profile_of("test", SRGB, curve)


def by_camera(space: int, interoperability: str | None, format: str = "JPEG", **options: Any) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = space
    if interoperability:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {ExifTags.Interop.InteropIndex: interoperability}
    buffer = io.BytesIO()
    quality = {"PNG": {}, "WEBP": {"lossless": True}}.get(format, {"quality": 100, "subsampling": 0})
    Image.fromarray(PHOTO).save(buffer, format, exif=exif.tobytes(), **quality, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("space", "interoperability"), [(65535, "R03"), (2, None)])
def test_adobe_rgb_may_be_told_by_exif_alone(format: str, space: int, interoperability: str | None) -> None:
    expected = converted(profile_of("Adobe RGB", ADOBE_RGB, ADOBE_GAMMA)).astype(int)
    assert np.abs(expected - PHOTO).mean() > 2
    assert np.abs(decode(by_camera(space, interoperability, format)) - expected).mean() < 1


@pytest.mark.parametrize(("space", "interoperability"), [(1, "R98"), (65535, "R98"), (65535, None), (1, "R03")])
def test_all_else_is_srgb(space: int, interoperability: str | None) -> None:
    np.testing.assert_array_equal(decode(by_camera(space, interoperability, "PNG")), PHOTO)


def test_a_profile_comes_before_exif() -> None:
    np.testing.assert_array_equal(decode(by_camera(65535, "R03", "PNG", icc_profile=srgb())), PHOTO)


def test_a_profile_called_srgb_counts_as_what_it_is() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, "PNG", icc_profile=profile_of("sRGB, but linear", SRGB, 1.0))
    assert np.abs(decode(buffer.getvalue()).astype(int) - PHOTO).mean() > 20
