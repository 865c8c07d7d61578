"""TIFFs of rare kinds: each is read right, or its message says what it is and how to convert it."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from pipeline.images.decode import decode, probe
from pipeline.images.errors import ImageError
from tests.support import draw

RGB = draw(1, 60, 80)
DEEP = RGB.astype(np.uint16) * 257
FLOATS = (RGB / 255).astype(np.float32)
CLEAR = np.zeros((60, 80, 1), dtype=np.uint16)


def tiff(pixels: NDArray[Any], photometric: str = "rgb", **options: Any) -> bytes:
    """A TIFF as programs of science write it."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric=photometric, metadata=None, **options)
    return buffer.getvalue()


def bands(*parts: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate(parts, axis=2)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (tiff(FLOATS), r"RGB, 3 bands of 32 bits \(floats\), .* scale .* to the range of integers"),
        (tiff(FLOATS, byteorder=">"), r"RGB, 3 bands of 32 bits \(floats\)"),
        (tiff(FLOATS[..., 0].astype(np.float16), "minisblack"), r"grey, 1 band of 16 bits \(floats\)"),
        (tiff(FLOATS[..., 0].astype(np.float64), "minisblack"), r"grey, 1 band of 64 bits \(floats\)"),
        (tiff(FLOATS[..., 0].astype(np.complex64), "minisblack"), r"complex floats\), .* such as its magnitude"),
        (tiff((DEEP // 2).astype(np.int16)), r"3 bands of 16 bits \(signed integers\), .* integers without a sign"),
        (tiff(RGB.astype(np.uint32)), r"RGB, 3 bands of 32 bits, .* of 8 or 16 bits"),
        (tiff(bands(DEEP, DEEP), planarconfig="contig", extrasamples=[0, 0, 0]), "of its 6 bands, export red, green"),
        (tiff(bands(RGB, RGB, RGB), planarconfig="contig", extrasamples=[0] * 6), "of its 9 bands, export red, green"),
        (
            tiff(bands(DEEP[..., :1], CLEAR), "minisblack", planarconfig="contig", extrasamples=[2]),
            "one of them opacity",
        ),
        (tiff(bands(RGB, RGB[..., :2]), "separated", extrasamples=[2]), "inks, such as CMYK, 5 bands of 8 bits"),
        (tiff(DEEP, "cielab"), "CIE Lab, 3 bands of 16 bits"),
        (tiff(RGB, bigtiff=True, byteorder=">"), "BigTIFF in big-endian byte order, .* save it as a TIFF of the usual"),
    ],
)
def test_a_kind_that_is_not_read_is_named(data: bytes, expected: str) -> None:
    for read in (probe, decode):
        with pytest.raises(ImageError, match=f"^the (TIFF|file) is .*{expected}"):
            read(data)


@pytest.mark.parametrize(
    ("number", "name"), [(50002, "JPEG XL"), (34887, "LERC"), (60001, "a rare kind, number 60001")]
)
def test_a_compression_that_is_not_read_is_named(number: int, name: str) -> None:
    data = tiff(RGB, compression="zlib")
    zlib, other = (struct.pack("<HHIHH", 259, 3, 1, value, 0) for value in (8, number))
    assert zlib in data
    with pytest.raises(ImageError, match=f"^the TIFF is compressed by {name}, .* save it again with LZW"):
        decode(data.replace(zlib, other))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("alpha", [1, 2])
def test_opacity_of_16_bits_is_opacity(order: str, alpha: int) -> None:
    assert (decode(tiff(bands(DEEP * (alpha - 1), CLEAR), extrasamples=[alpha], byteorder=order)) == 255).all()
    whole = decode(tiff(bands(DEEP, CLEAR + 65535), extrasamples=[alpha], byteorder=order))
    np.testing.assert_array_equal(whole, RGB)


def test_bands_beyond_red_green_and_blue_of_8_bits_are_left_out() -> None:
    data = tiff(bands(RGB, RGB[..., :2]), planarconfig="contig", extrasamples=[0, 0])
    np.testing.assert_array_equal(decode(data), RGB)


def test_little_endian_bigtiff_of_16_bits_is_read() -> None:
    np.testing.assert_array_equal(decode(tiff(DEEP, bigtiff=True)), RGB)


def test_a_damaged_file_of_a_usual_kind_is_called_damaged() -> None:
    strips = struct.pack("<HH", 273, 4)  # the tag that says where the pixels are
    data = tiff(RGB)
    assert strips in data
    with pytest.raises(ImageError, match=r"damaged|cut short"):
        decode(data.replace(strips, struct.pack("<HH", 60000, 4)))
