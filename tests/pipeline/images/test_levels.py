"""Grey levels of all types give the picture that they mean, or an error; a few odd pixels spoil nothing."""

import io
import struct
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.images.decode import decode
from pipeline.images.errors import ImageError

RAMP = np.tile(np.linspace(0, 1, 256), (64, 1))
"""From black to white, as a share of white."""

GREY = np.tile(np.arange(256), (64, 1))

WHITE: dict[str, float] = {
    "uint8": 255,
    "int8": 127,
    "uint16": 65535,
    "int16": 32767,
    "uint32": 2**32 - 1,
    "int32": 2**31 - 1,
    "float32": 1,
}


def levels(shares: NDArray[Any], kind: str, white: float | None = None) -> NDArray[Any]:
    """Shares of white as levels of a type."""
    scaled = shares * (WHITE[kind] if white is None else white)
    return scaled.astype(kind) if kind == "float32" else np.rint(scaled).astype(kind)


def tiff(picture: NDArray[Any], *, inverted: bool = False, order: Literal["<", ">"] = "<") -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, picture, photometric="miniswhite" if inverted else "minisblack", byteorder=order, metadata=None
    )
    return buffer.getvalue()


def assert_grey(data: bytes, expected: NDArray[Any], *, apart_from: int = 0, tolerance: int = 1) -> None:
    error = np.abs(decode(data).astype(int) - expected[..., None]).max(axis=2)
    assert (error > tolerance).sum() <= apart_from, f"levels are off by up to {error.max()}"


@pytest.mark.parametrize("kind", WHITE)
def test_levels_of_any_type_have_the_range_of_the_type(kind: str) -> None:
    assert_grey(tiff(levels(RAMP, kind)), GREY)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_white_may_be_zero(kind: str) -> None:
    assert_grey(tiff(levels(1 - RAMP, kind), inverted=True), GREY)


@pytest.mark.parametrize("kind", ["uint32", "int32"])
@pytest.mark.parametrize("white", [255, 65535])
def test_levels_of_32_bits_may_keep_to_fewer(kind: str, white: float) -> None:
    assert_grey(tiff(levels(RAMP, kind, white)), GREY)
    odd = levels(RAMP, kind, white)
    odd[3, 200] = 2**31 - 1
    assert_grey(tiff(odd), GREY, apart_from=1)


@pytest.mark.parametrize("white", [1, 255, 65535])
@pytest.mark.parametrize("odd", [1.02, 7.5, 1e30, np.inf, -0.3, -np.inf, np.nan])
def test_a_few_odd_floats_are_clipped(white: float, odd: float) -> None:
    picture = levels(RAMP, "float32", white)
    picture[3, 200] = odd * white
    assert_grey(tiff(picture), GREY, apart_from=1)
    assert decode(tiff(picture))[3, 200, 0] == (255 if odd > 0 else 0)


def test_highlights_of_floats_may_go_beyond_white() -> None:
    bright = levels(RAMP * 1.2, "float32")
    assert_grey(tiff(bright), np.minimum(np.rint(GREY * 1.2), 255))


@pytest.mark.parametrize("white", [3.0, 1023.0, 1e6])
def test_floats_of_an_unknown_range_are_refused(white: float) -> None:
    with pytest.raises(ImageError, match="no range that is known"):
        decode(tiff(levels(RAMP, "float32", white)))


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "float32"])
def test_a_few_negative_levels_are_black_and_many_are_refused(kind: str) -> None:
    picture = levels(RAMP, kind)
    picture[3, 200] = -1
    assert_grey(tiff(picture), GREY, apart_from=1)
    assert (decode(tiff(picture))[3, 200] == 0).all()
    with pytest.raises(ImageError, match="below zero"):
        decode(tiff(levels(2 * RAMP - 1, kind)))


def test_twelve_bits_are_a_range_of_their_own() -> None:
    first, second = np.rint(RAMP * 4095).astype(np.uint16).reshape(-1, 2).T
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8).tobytes()
    tags = {256: 256, 257: 64, 258: 12, 259: 1, 262: 1, 273: 122, 277: 1, 278: 64, 279: len(packed)}
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    assert_grey(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + table + bytes(4) + packed, GREY)


@given(st.sampled_from(sorted(WHITE)), st.binary(min_size=16 * 16 * 4, max_size=16 * 16 * 4))
def test_any_levels_give_a_picture_or_an_error(kind: str, rubbish: bytes) -> None:
    picture = np.frombuffer(rubbish, dtype=kind)[:256].reshape(16, 16)
    try:
        assert decode(tiff(picture)).shape == (16, 16, 3)
    except ImageError:
        return
