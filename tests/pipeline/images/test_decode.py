"""Every format and mode gives the right colours; every broken file gives an ImageError that helps."""

import io
import logging
import struct
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pipeline.images.decode import ImageInfo, Pixels, decode, probe
from pipeline.images.errors import ImageError
from tests.pipeline.support.bad_pictures import BAD_PICTURES, chunk, good

RED, GREEN, BLUE, WHITE = (220, 30, 40), (20, 200, 60), (30, 60, 210), (250, 250, 250)


def saved(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def quarters(width: int = 48, height: int = 32) -> Pixels:
    """Four plain colours, so that any turn or mirroring shows."""
    picture = np.empty((height, width, 3), dtype=np.uint8)
    top, left = slice(None, height // 2), slice(None, width // 2)
    bottom, right = slice(height // 2, None), slice(width // 2, None)
    picture[top, left], picture[top, right] = RED, GREEN
    picture[bottom, left], picture[bottom, right] = BLUE, WHITE
    return picture


def assert_colour(data: bytes, colour: Any, tolerance: int = 0) -> None:
    picture = decode(data)
    assert picture.dtype == np.uint8
    assert picture.shape == (32, 32, 3)
    assert np.abs(picture.astype(int) - np.array(colour)).max() <= tolerance, picture[16, 16]


def plain(mode: str, colour: Any) -> Image.Image:
    return Image.new(mode, (32, 32), colour)


def deep(levels: Any, dtype: Any) -> Image.Image:
    return Image.fromarray(np.full((32, 32), levels, dtype=dtype))


# Formats

# How each is saved best.
OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 100}, "WEBP": {"lossless": True}, "AVIF": {"quality": 95}}
LOSSLESS = ["PNG", "TIFF", "BMP", "PPM", "QOI"]
LOSSY = ["JPEG", "WEBP", "AVIF", "JPEG2000"]


@pytest.mark.parametrize("format", LOSSLESS + LOSSY + ["GIF"])
def test_formats(format: str) -> None:
    picture = quarters()
    data = saved(Image.fromarray(picture), format, **({"quality": 95} if format in ("JPEG", "WEBP") else {}))
    assert probe(data) == ImageInfo(48, 32, format.lower())
    error = np.abs(decode(data).astype(int) - picture)
    assert error.max() == 0 if format in LOSSLESS else error.mean() < 4


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "PPM", "QOI", "JPEG2000"])
def test_probe_wants_only_the_beginning(format: str) -> None:
    data = good(format, (400, 300))
    assert probe(data[:4096]) == probe(data) == ImageInfo(400, 300, format.lower())


# Modes: what goes in, what must come out

MODES: dict[str, tuple[bytes, Any, int]] = {
    "rgb": (saved(plain("RGB", RED)), RED, 0),
    "grey": (saved(plain("L", 77)), (77, 77, 77), 0),
    "bit_black": (saved(plain("1", 0)), (0, 0, 0), 0),
    "bit_white": (saved(plain("1", 1)), (255, 255, 255), 0),
    "alpha_half": (saved(plain("RGBA", (*RED, 128))), [round(c * 128 / 255 + 127) for c in RED], 1),
    "alpha_none": (saved(plain("RGBA", (*RED, 0))), (255, 255, 255), 0),
    "alpha_full": (saved(plain("RGBA", (*RED, 255))), RED, 0),
    "alpha_webp": (saved(plain("RGBA", (*RED, 0)), "WEBP", lossless=True), (255, 255, 255), 0),
    "grey_alpha": (saved(plain("LA", (100, 51))), [round(100 * 0.2 + 255 * 0.8)] * 3, 1),
    "grey_keyed": (saved(plain("L", 9), transparency=9), (255, 255, 255), 0),
    "rgb_keyed": (saved(plain("RGB", RED), transparency=RED), (255, 255, 255), 0),
    "palette": (saved(plain("RGB", BLUE).quantize(4)), BLUE, 0),
    "palette_keyed": (saved(plain("RGB", BLUE).quantize(4), transparency=0), (255, 255, 255), 0),
    "palette_alpha": (saved(plain("RGB", BLUE).quantize(4), transparency=b"\x80"), [(c + 255) / 2 for c in BLUE], 2),
    "gif_keyed": (saved(plain("RGB", BLUE).quantize(4), "GIF", transparency=0), (255, 255, 255), 0),
    "cmyk_tiff": (saved(plain("CMYK", (0, 255, 255, 0)), "TIFF"), (255, 0, 0), 1),
    "cmyk_jpeg": (saved(plain("CMYK", (0, 128, 255, 51)), "JPEG", quality=100), (204, 102, 0), 3),
    "ycbcr_tiff": (saved(plain("RGB", GREEN).convert("YCbCr"), "TIFF"), GREEN, 3),
    "grey16_png": (saved(deep(0x8000, np.uint16)), (128, 128, 128), 1),
    "grey16_png_low": (saved(deep(300, np.uint16)), (1, 1, 1), 0),
    "grey16_tiff": (saved(deep(0xC000, np.uint16), "TIFF"), (191, 191, 191), 1),
    "grey16_big_endian": (saved(plain("I;16B", 0xC000), "TIFF"), (191, 191, 191), 1),
    "int32_small": (saved(deep(0x4000, np.int32), "TIFF"), (64, 64, 64), 1),
    "int32_large": (saved(deep(0x40000000, np.int32), "TIFF"), (128, 128, 128), 1),
    "float_unit": (saved(deep(0.5, np.float32), "TIFF"), (128, 128, 128), 0),
    "float_byte": (saved(deep(200.0, np.float32), "TIFF"), (200, 200, 200), 0),
    "float_nan": (saved(deep(np.nan, np.float32), "TIFF"), (0, 0, 0), 0),
    "lab": (saved(plain("LAB", (138, 209, 198)), "TIFF"), (255, 0, 0), 6),
}


@pytest.mark.parametrize("name", MODES)
def test_modes(name: str) -> None:
    assert_colour(*MODES[name])


def test_sixteen_bit_grey_keeps_its_ramp() -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (16, 1))
    for data in (saved(Image.fromarray(ramp)), saved(Image.fromarray(ramp), "TIFF", compression="tiff_lzw")):
        np.testing.assert_allclose(decode(data)[0, :, 0], np.arange(256), atol=1)


def test_adobe_ycck() -> None:
    """Pillow writes CMYK as it is; flipping Adobe's mark makes the same bytes luma, chroma and black."""
    stored = np.array([150, 110, 140, 200], dtype=float)
    data = bytearray(saved(plain("CMYK", tuple(int(255 - v) for v in stored)), "JPEG", quality=100))
    mark = data.index(b"Adobe")
    assert data[mark + 11] == 0
    data[mark + 11] = 2
    luma, blue, red, black = stored
    light = np.array(
        [
            luma + 1.402 * (red - 128),
            luma - 0.344136 * (blue - 128) - 0.714136 * (red - 128),
            luma + 1.772 * (blue - 128),
        ]
    )
    # libjpeg turns luma and chroma into 255 - light, Adobe's inversion makes that the ink that is missing.
    assert_colour(bytes(data), np.round((255 - light) * black / 255), 4)


def test_multi_picture_jpeg() -> None:
    data = saved(plain("RGB", RED), "MPO", save_all=True, append_images=[plain("RGB", BLUE)], quality=95)
    assert probe(data).format == "jpeg"
    assert_colour(data, RED, 3)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame(format: str) -> None:
    frames = [plain("RGB", colour) for colour in (RED, GREEN, BLUE)]
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
    assert_colour(saved(frames[0], format, save_all=True, append_images=frames[1:], **options), RED, 2)


# Orientation: how an upright picture is stored under each EXIF value

STORED: dict[int, Any] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: np.rot90(a, -1),
}


def oriented(orientation: int, format: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED.get(orientation, STORED[1])(quarters())))
    return saved(stored, format, exif=exif, **OPTIONS.get(format, {}))


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientation(format: str, orientation: int) -> None:
    data = oriented(orientation, format)
    info = probe(data)
    assert (info.width, info.height) == (48, 32)
    assert np.abs(decode(data).astype(int) - quarters()).mean() < 4


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_senseless_orientation(orientation: int) -> None:
    np.testing.assert_array_equal(decode(oriented(orientation, "PNG")), quarters())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_is_passed_over() -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0garbage", b"Exif\0\0MM\0*" + b"\xff" * 40):
        for format in ("JPEG", "WEBP", "PNG"):
            assert decode(saved(Image.fromarray(quarters()), format, exif=exif)).shape == (32, 48, 3)


def test_late_png_orientation_does_not_part_probe_from_decode() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(quarters()))
    data = data[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + data[-12:]
    info, picture = probe(data), decode(data)
    assert picture.shape[:2] == (info.height, info.width) == (32, 48)


# Colour profiles


def icc(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A version 2 display profile."""
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02400000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">iii", *(round(v * 65536) for v in values))


def gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256))


NAME = b"desc" + bytes(4) + struct.pack(">I", 5) + b"wide\0" + bytes(78)
D50 = (0.9642, 1.0, 0.8249)
# Adobe RGB (1998) and sRGB, columns red, green, blue in XYZ under D50.
ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])


def wide() -> bytes:
    columns = {name: xyz(*ADOBE[:, k]) for k, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma(2.2))
    return icc(b"RGB ", {b"desc": NAME, b"wtpt": xyz(*D50), **columns, **curves})


def encoded(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.clip(linear, 0, 1)
    return np.asarray(255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("colour", [(128, 128, 128), (150, 120, 90), (60, 140, 110), (170, 210, 190), (40, 200, 60)])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_wide_profile(format: str, colour: tuple[int, int, int]) -> None:
    expected = encoded(np.linalg.inv(SRGB) @ ADOBE @ (np.array(colour) / 255) ** 2.2)
    options = OPTIONS.get(format, {})
    assert_colour(saved(plain("RGB", colour), format, icc_profile=wide(), **options), expected, 3)
    if len(set(colour)) > 1:
        assert np.abs(expected - colour).max() > 3, "the profile must make a difference"


def test_wide_profile_with_alpha_and_palette() -> None:
    colour = (60, 140, 110)
    expected = encoded(np.linalg.inv(SRGB) @ ADOBE @ (np.array(colour) / 255) ** 2.2)
    assert_colour(saved(plain("RGBA", (*colour, 128)), icc_profile=wide()), expected * 128 / 255 + 127, 3)
    assert_colour(saved(plain("RGB", colour).quantize(4), icc_profile=wide()), expected, 3)
    assert_colour(saved(plain("L", 128), icc_profile=wide()), encoded(np.full(3, (128 / 255) ** 2.2)), 3)


def test_grey_profile() -> None:
    linear = icc(b"GRAY", {b"desc": NAME, b"wtpt": xyz(*D50), b"kTRC": gamma(1.0)})
    assert_colour(saved(plain("L", 128), icc_profile=linear), encoded(np.full(3, 128 / 255)), 2)
    assert_colour(saved(plain("LA", (128, 255)), icc_profile=linear), encoded(np.full(3, 128 / 255)), 2)


@pytest.mark.parametrize(
    "profile", [b"not a profile", wide()[:300], ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()]
)
def test_unusable_profile_is_ignored_with_a_warning(profile: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pipeline.images.colour"):
        assert_colour(saved(plain("RGB", RED), icc_profile=profile), RED)
    assert "profile ignored" in caplog.text


def test_srgb_profile_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_colour(saved(plain("RGB", RED), icc_profile=profile), RED)
    assert not caplog.records


# Bad pictures

SAYS = {
    "empty": "empty",
    "html": "HTML",
    "html_after_mark": "HTML",
    "lfs_pointer": "git lfs pull",
    "random": "unknown format",
    "zeros": "nothing but zeros",
    "heic": "HEIC",
    "mp4": "video",
    "png_huge": "60000 x 60000|too large",
    "jpeg_huge": "65500 x 65500|too large",
    "webp_huge": "16384 x 16384|too large",
    "jpeg_half": "truncated",
    "jpeg_header_only": "begins like JPEG|damaged",
    "one_pixel": "at least 16",
    "sliver": "400 x 15",
}


@pytest.mark.parametrize("name", BAD_PICTURES)
@pytest.mark.filterwarnings("ignore")
def test_bad_pictures(name: str) -> None:
    with pytest.raises(ImageError, match=SAYS.get(name, "")) as caught:
        decode(BAD_PICTURES[name])
    message = str(caught.value)
    assert len(message) > 25
    assert "object at" not in message
    assert "0x" not in message


@pytest.mark.parametrize("format", [*LOSSLESS, *LOSSY, "GIF"])
@pytest.mark.filterwarnings("ignore")
def test_truncated_at_every_tenth(format: str) -> None:
    data = good(format)
    for tenth in range(10):
        with pytest.raises(ImageError):
            decode(data[: len(data) * tenth // 10])


def test_bombs_take_no_memory() -> None:
    script = """
import resource, warnings
warnings.simplefilter("ignore")
from pipeline.images.decode import decode, probe
from pipeline.images.errors import ImageError
from tests.pipeline.support.bad_pictures import BAD_PICTURES
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
for name in [name for name in BAD_PICTURES if name.endswith(("_huge", "_wide"))]:
    for read in (probe, decode):
        try:
            read(BAD_PICTURES[name])
            raise SystemExit(f"{name} was accepted")
        except ImageError:
            pass
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 64 * 1024, "kilobytes of memory for refusing bombs"


def test_limits_are_the_callers() -> None:
    data = good("PNG", (100, 50))
    with pytest.raises(ImageError, match="100 x 50 pixels are more than the 4,999"):
        probe(data, max_pixels=4999)
    assert probe(data, max_pixels=5000).width == 100
    assert decode(good("PNG", (8, 5)), min_side=1).shape == (5, 8, 3)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"GIF89a", b"BM", b"RIFF"]),
)
@pytest.mark.filterwarnings("ignore")
def test_any_bytes(tail: bytes, magic: bytes) -> None:
    with pytest.raises(ImageError):
        decode(magic + tail)


@given(st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"]), st.data())
@settings(deadline=None, max_examples=150)
@pytest.mark.filterwarnings("ignore")
def test_any_damage(format: str, drawn: st.DataObject) -> None:
    data = bytearray(good(format, (24, 20)))
    for _ in range(drawn.draw(st.integers(1, 4))):
        data[drawn.draw(st.integers(0, len(data) - 1))] = drawn.draw(st.integers(0, 255))
    try:
        picture = decode(bytes(data), max_pixels=1_000_000)
    except ImageError:
        return
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3


def test_threads_do_not_disturb_each_other() -> None:
    outcomes: list[bool] = []

    def work(seed: int) -> None:
        data, limit = (good("PNG", (64, 64)), 10) if seed % 2 else (good("JPEG", (64, 64)), 10_000)
        for _ in range(30):
            try:
                decode(data, max_pixels=limit)
                outcomes.append(seed % 2 == 0)
            except ImageError:
                outcomes.append(seed % 2 == 1)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 120
