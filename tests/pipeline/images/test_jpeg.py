"""A JPEG that lacks its end mark alone is read; one that lacks pixels fails, whatever it is filled with."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.images import jpeg
from pipeline.images.decode import decode
from pipeline.images.errors import ImageError
from tests.support import draw

OPTIONS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "subsampled": {"subsampling": 2, "quality": 75},
}


def saved(picture: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", **{"quality": 92, **options})
    return buffer.getvalue()


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_end_mark_alone_may_be_missing(kind: str) -> None:
    data = saved(draw(1, 96, 128), **OPTIONS[kind])
    np.testing.assert_array_equal(decode(data[:-2]), decode(data))


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("lost", [20, 100, 1000])
def test_pixels_may_not_be_missing(kind: str, lost: int) -> None:
    data = saved(draw(1, 96, 128), **OPTIONS[kind])
    with pytest.raises(ImageError, match="truncated"):
        decode(data[:-lost])


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("share", [0.4, 0.6, 0.9])
def test_a_rest_of_zeros_is_no_picture(kind: str, closed: bool, share: float) -> None:
    data = saved(draw(1, 96, 128), **OPTIONS[kind])
    start = jpeg.first_scan(data)
    assert start
    cut = start + int((len(data) - start) * share)
    with pytest.raises(ImageError, match=r"zeros|truncated"):
        decode(data[:cut] + bytes(len(data) - cut) + (b"\xff\xd9" if closed else b""))


@pytest.mark.parametrize("kind", ["baseline", "optimised", "restarts"])
def test_a_hole_of_zeros_is_no_picture(kind: str) -> None:
    data = saved(draw(1, 192, 256), **OPTIONS[kind])
    start = jpeg.first_scan(data)
    assert start
    hole = start + (len(data) - start) // 2
    with pytest.raises(ImageError, match="zeros"):
        decode(data[:hole] + bytes(512) + data[hole + 512 :])


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("closed", [False, True])
def test_flat_pictures_may_be_made_of_zeros(kind: str, closed: bool) -> None:
    """With codes made for the picture, the most frequent one is zero: flat areas are long runs of it."""
    flat = np.full((512, 512, 3), 255, dtype=np.uint8)
    flat[:64] = draw(3, 64, 512)
    for picture in (flat, flat[::-1].copy(), np.zeros_like(flat)):
        data = saved(picture, **OPTIONS[kind])
        assert decode(data if closed else data[:-2]).shape == (512, 512, 3)


def test_what_follows_the_picture_does_not_matter() -> None:
    data = saved(draw(1, 96, 128))
    for rest in (bytes(5000), b"\0" * 100 + data, b"video" * 100):
        np.testing.assert_array_equal(decode(data + rest), decode(data))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_part_that_is_looked_at_can_be_anything(drawn: st.DataObject) -> None:
    data = bytearray(saved(draw(1, 24, 32)))
    for _ in range(drawn.draw(st.integers(1, 3))):
        place = drawn.draw(st.integers(2, len(data) - 70))
        data[place : place + 64] = bytes(64)
    try:
        decode(bytes(data[: drawn.draw(st.integers(2, len(data)))]))
    except ImageError:
        return
