"""Results in the colour profile of their content: what LittleCMS reads of them is what was in sRGB."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from nst_kernel import StylizeResult
from nst_kernel.pictures import to_uint16
from pipeline.images import encode, in_profile, profile_of_photo
from pipeline.images.decode import decode
from pipeline.images.encode import FORMATS, Format
from pipeline.images.profile import ADOBE_GAMMA, ADOBE_RGB, DISPLAY_P3, profile_of, srgb
from pipeline.options import Encoding
from pipeline.stages import encode_result
from tests.pipeline.stages.test_optimise import QUICK, batch_of
from tests.pipeline.stages.test_regions import row
from tests.support import draw

ADOBE, P3 = profile_of("Adobe RGB", ADOBE_RGB, ADOBE_GAMMA), profile_of("P3", DISPLAY_P3, "sRGB")
PICTURE: NDArray[np.float32] = (draw(0, 32, 40) / 255).astype(np.float32)


@pytest.mark.parametrize("profile", [ADOBE, P3], ids=["adobe", "p3"])
@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_read_of_a_converted_picture_is_what_it_was(profile: bytes, bits: int) -> None:
    converted = in_profile(to_uint16(PICTURE), profile, bits=bits)
    assert converted.dtype == (np.uint16 if bits == 16 else np.uint8)
    assert np.abs(converted / (2**bits - 1) - PICTURE).max() > 0.02, "levels of another profile are others"
    read = decode(encode(converted, format="png", metadata={}, icc_profile=profile))
    assert np.abs(read / 255 - PICTURE).max() < 2.5 / 255


def test_levels_are_those_of_the_specification() -> None:
    """Adobe RGB (1998): the light of sRGB by the matrices of both to XYZ at D65, to the power 256/563."""
    light = np.where(PICTURE <= 0.04045, PICTURE / 12.92, ((PICTURE + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    from_xyz = np.array([[2.04159, -0.56501, -0.34473], [-0.96924, 1.87597, 0.04156], [0.01344, -0.11836, 1.01517]])
    expected = np.clip(light @ (from_xyz @ to_xyz).T, 0, 1) ** (256 / 563)
    assert np.abs(in_profile(to_uint16(PICTURE), ADOBE, bits=16) / 65535 - expected).max() < 2e-3


def test_opacity_is_not_converted() -> None:
    words = np.dstack([to_uint16(PICTURE), np.full((32, 40), 12345, np.uint16)])
    converted = in_profile(words, ADOBE, bits=16)
    assert (converted[..., 3] == 12345).all()
    np.testing.assert_array_equal(converted[..., :3], in_profile(to_uint16(PICTURE), ADOBE, bits=16))


@pytest.mark.parametrize("format", sorted(set(FORMATS.values())))
def test_files_carry_the_profile(format: Format) -> None:
    data = encode(draw(0, 32, 40), format=format, metadata={"id": "mine"}, icc_profile=ADOBE)
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == ADOBE
    assert b"sRGB\0" not in data


def saved(mode: str, profile: bytes | None, format: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(draw(1, 32, 40)).convert(mode).save(file, format, icc_profile=profile)
    return file.getvalue()


def test_profiles_that_cannot_be_kept_give_way_to_srgb() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert profile_of_photo(saved("RGB", ADOBE)) == ADOBE
    assert profile_of_photo(saved("RGB", P3, "PNG")) == P3
    assert profile_of_photo(saved("RGB", lab)) is None
    assert profile_of_photo(saved("L", lab)) is None
    assert profile_of_photo(saved("RGB", None)) is None
    assert profile_of_photo(b"no photo") is None


def result(image: NDArray[np.uint16]) -> StylizeResult:
    return StylizeResult(image, diverged=False, losses={}, curve={}, iterations=1)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("profile", [ADOBE, None])
def test_a_result_has_the_profile_of_its_content(tmp_path: Path, depth: int, profile: bytes | None) -> None:
    for name in ("c.png", "s.png", "t.png"):
        (tmp_path / name).write_bytes(saved("RGB", profile, "PNG"))
    planned = batch_of([dataclasses.replace(row(tmp_path), params=QUICK)]).rows[0]
    how = Encoding(depth=depth, color_profile="keep")
    assert how.bits_before == 16
    data = encode_result(planned, result(to_uint16(PICTURE)), "e", how)
    written = Image.open(io.BytesIO(data))
    assert written.info.get("icc_profile") == profile
    assert np.abs(decode(data) / 255 - PICTURE).max() < 2.5 / 255
    usual = Image.open(io.BytesIO(encode_result(planned, result(to_uint16(PICTURE)), "e", Encoding(depth=16))))
    assert "icc_profile" not in usual.info
    assert srgb() != ADOBE
