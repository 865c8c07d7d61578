"""PNG and TIFF of 16 bits a colour as inputs: every level arrives, in every way that such files are stored."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from nst_kernel import StyleParams
from nst_kernel.pictures import to_tensor
from nst_kernel.pictures.opacity import FAINT
from pipeline.images import curves
from pipeline.images.decode import decode, decode_to, resize_deep
from pipeline.images.profile import ADOBE_GAMMA, ADOBE_RGB, DISPLAY_P3, profile_of
from pipeline.manifest import Row
from pipeline.stages.fetch import fetch
from tests.pipeline.stages.test_optimise import batch_of
from tests.support import draw

LEVELS = np.random.default_rng(0).integers(0, 65536, (24, 20, 4), dtype=np.uint16)
COLOURS = np.ascontiguousarray(LEVELS[..., :3])
OPAQUE = np.concatenate([COLOURS, np.full((24, 20, 1), 65535, np.uint16)], axis=2)


def png(levels: NDArray[np.uint16], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 16 bits as its specification has it: grey, with opacity, RGB or RGBA by the number of channels.

    Every second row is stored as differences from the pixel to the left.
    """
    height, width, channels = levels.shape
    by_row = levels.astype(">u2").reshape(height, -1).view(np.uint8)
    by_row[1::2, 2 * channels :] -= by_row[1::2, : -2 * channels].copy()
    rows = b"".join(bytes([n % 2]) + row.tobytes() for n, row in enumerate(by_row))
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def tiff(levels: NDArray[np.uint16], **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, levels, photometric="rgb" if levels.ndim == 3 else "minisblack", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        png(COLOURS),
        png(OPAQUE),
        tiff(COLOURS),
        tiff(COLOURS, byteorder=">"),
        tiff(COLOURS, compression="zlib"),
        tiff(COLOURS, rowsperstrip=5),
        tiff(OPAQUE, extrasamples=["unassalpha"]),
        tiff(LEVELS, extrasamples=["unspecified"]),
    ],
    ids=["png", "png-alpha", "tiff", "big-endian", "packed", "strips", "tiff-alpha", "infrared"],
)
def test_every_level_is_read(data: bytes) -> None:
    found, shape = decode_to(data, None, deep=True)
    assert found.dtype == np.uint16
    assert shape == (24, 20)
    np.testing.assert_array_equal(found, COLOURS)
    assert decode(data).dtype == np.uint8
    assert np.abs(decode(data).astype(int) * 257 - COLOURS.astype(int)).max() <= 257


def test_grey_has_all_its_levels_too() -> None:
    expected = np.repeat(COLOURS[..., :1], 3, axis=2)
    for data in (png(COLOURS[..., :1]), tiff(COLOURS[..., 0]), tiff(COLOURS[..., 0], byteorder=">")):
        np.testing.assert_array_equal(decode_to(data, None, deep=True)[0], expected)


def test_grey_with_opacity_has_all_its_levels_of_both() -> None:
    grey, opacity = LEVELS[..., :1], LEVELS[..., 3:]
    data = png(np.concatenate([grey, opacity], axis=2))
    found, _ = decode_to(data, None, deep=True, opacity=True)
    np.testing.assert_array_equal(found[..., 3:], opacity)
    seen = opacity[..., 0] > 65535 * FAINT  # the colours of the others come from around them
    np.testing.assert_array_equal(found[seen][:, :3], np.repeat(grey[seen], 3, axis=1))
    on_white = 65535 + (opacity / 65535) * (grey.astype(float) - 65535)
    np.testing.assert_array_equal(decode_to(data, None, deep=True)[0], np.repeat(np.rint(on_white), 3, axis=2))


def test_what_is_transparent_lies_on_white() -> None:
    opacity = LEVELS[..., 3:] / 65535
    expected = opacity * COLOURS + (1 - opacity) * 65535
    for data in (png(LEVELS), tiff(LEVELS, extrasamples=["unassalpha"])):
        assert np.abs(decode_to(data, None, deep=True)[0] - expected).max() <= 0.5 + 1e-6


def test_pictures_of_eight_bits_are_as_they_were() -> None:
    file = io.BytesIO()
    Image.fromarray(draw(0, 24, 20)).save(file, "PNG")
    found, _ = decode_to(file.getvalue(), (17, 19), deep=True)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, decode_to(file.getvalue(), (17, 19))[0])


def test_orientations_are_undone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = png(COLOURS, (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    found, shape = decode_to(turned, None, deep=True)
    assert shape == (20, 24)
    np.testing.assert_array_equal(found, np.rot90(COLOURS, -1))


def test_colours_of_a_profile_become_those_of_srgb() -> None:
    """Adobe RGB (1998) by its own numbers: a power of 563/256, and the matrices of both spaces to XYZ at D65."""
    to_xyz = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
    from_xyz = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    light = np.clip((COLOURS / 65535) ** (563 / 256) @ (from_xyz @ to_xyz).T, 0, 1)
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    profile = profile_of("Adobe RGB", ADOBE_RGB, ADOBE_GAMMA)
    for data in (tiff(COLOURS, iccprofile=profile), png(COLOURS, (b"iCCP", b"a\0\0" + zlib.compress(profile)))):
        found = decode_to(data, None, deep=True)[0] / 65535
        assert np.abs(found - expected).max() < 2e-3
        assert np.abs(found - decode(data) / 255).mean() < 0.005


def grey_profile(gamma: float) -> bytes:
    """A profile of one grey curve, a power, as its specification has it (ICC.1:2022, 7.2 and 10.6)."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(256 * gamma)) + b"\0\0"
    head = struct.pack(">I4x", 144 + len(curve)) + b"\4\0\0\0mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(88)
    return head + struct.pack(">I4sII", 1, b"kTRC", 144, len(curve)) + curve


def test_grey_of_a_profile_with_opacity_becomes_that_of_srgb() -> None:
    grey, opacity = LEVELS[..., :1], LEVELS[..., 3:]
    light = (grey / 65535) ** (461 / 256)
    expected = np.repeat(np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055), 3, axis=2)
    icc = (b"iCCP", b"a\0\0" + zlib.compress(grey_profile(461 / 256)))
    data = png(np.concatenate([grey, opacity], axis=2), icc)
    found, _ = decode_to(data, None, deep=True, opacity=True)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[..., 3:], opacity)
    seen = opacity[..., 0] > 65535 * FAINT
    assert np.abs(found[seen][:, :3] / 65535 - expected[seen]).max() < 1e-4
    on_white = 1 + opacity / 65535 * (expected - 1)
    assert np.abs(decode_to(data, None, deep=True)[0] / 65535 - on_white).max() < 1e-4


@pytest.mark.parametrize("profile", [profile_of("Adobe RGB", ADOBE_RGB, ADOBE_GAMMA),
                                     profile_of("P3", DISPLAY_P3, "sRGB")])  # fmt: skip
def test_conversion_there_and_back_changes_nothing(profile: bytes) -> None:
    inside = 0.25 + 0.5 * np.random.default_rng(1).random((9, 7, 3))
    there, back = curves.from_srgb(profile), curves.to_srgb(profile)
    assert there
    assert back
    assert np.abs(back(there(inside)) - inside).max() < 1e-5


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (b"curv" + bytes(4) + struct.pack(">I", 0), lambda x: x),
        (b"curv" + bytes(4) + struct.pack(">IH", 1, 461), lambda x: x ** (461 / 256)),
        (b"curv" + bytes(4) + struct.pack(">I3H", 3, 0, 16384, 65535),
         lambda x: np.interp(x, (0, 0.5, 1), (0, 0.25, 1))),
        (b"para" + bytes(4) + struct.pack(">HH3i", 1, 0, 131072, 65536, -6554), lambda x: np.clip(x - 0.1, 0, 1) ** 2),
        (b"para" + bytes(4) + struct.pack(">HH4i", 2, 0, 131072, 52429, 0, 6554), lambda x: (0.8 * x) ** 2 + 0.1),
        (b"para" + bytes(4) + struct.pack(">HH7i", 4, 0, 65536, 32768, 0, 16384, 32768, 6554, 3277),
         lambda x: np.where(x >= 0.5, 0.5 * x + 0.1, 0.25 * x + 0.05)),
    ],
)  # fmt: skip
def test_curves_are_those_of_the_specification(tag: bytes, expected: Any) -> None:
    x = np.linspace(0, 1, 101)
    assert np.abs(curves._curve(tag)(x) - expected(x)).max() < 1e-4


def test_broken_profiles_and_those_of_tables_are_left_to_others() -> None:
    good = profile_of("P3", DISPLAY_P3, "sRGB")
    for bad in (b"", good[:100], good[:140], good.replace(b"rTRC", b"A2B0"), good.replace(b"RGB XYZ", b"CMYKXYZ")):
        assert curves.to_srgb(bad) is None
        assert curves.from_srgb(bad) is None


def test_steps_finer_than_eight_bits_outlive_resizing() -> None:
    ramp = np.repeat(np.linspace(30000, 30255, 64).astype(np.uint16)[None, :, None], 48, axis=0).repeat(3, axis=2)
    smaller = resize_deep(ramp, (24, 32))
    assert smaller.dtype == np.uint16
    assert len(np.unique(smaller)) >= 30
    assert np.abs(smaller.mean() - ramp.mean()) < 1


def test_a_row_gets_pictures_of_all_their_bits(tmp_path: Path) -> None:
    for name in ("c.png", "s.png"):
        (tmp_path / name).write_bytes(png(COLOURS))
    params = StyleParams(size=24)
    row = Row("r", str(tmp_path / "c.png"), str(tmp_path / "s.png"), "r.png", params, "rows.csv", 1)
    (pictures,) = fetch(batch_of([row])).pictures
    content = getattr(pictures, "content", None)
    assert content is not None
    assert content.dtype == np.uint16
    found = to_tensor(content).permute(1, 2, 0).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, resize_deep(COLOURS, (found.shape[0], found.shape[1])) / np.float32(65535), atol=1e-7
    )
