"""Rounding to 8 bits is torch's, so that files are what they were when the kernel rounded; to 16 bits it is exact."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nst_kernel import to_uint8, to_uint16

HALVES = [(k + 0.5) / 255 for k in range(255)]


@given(st.lists(st.floats(-0.5, 1.5, width=32), min_size=3, max_size=300))
def test_floats_are_rounded_as_torch_rounds(values: list[float]) -> None:
    picture = np.resize(np.array([*values, *HALVES], np.float32), (1, 128, 3))
    by_torch = (torch.from_numpy(picture).clamp(0, 1) * 255).round().to(torch.uint8)
    assert np.array_equal(to_uint8(picture), by_torch.numpy())


def test_bytes_are_left_as_they_are() -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert to_uint8(picture) is picture


@given(st.lists(st.floats(-0.5, 1.5, width=32), min_size=3, max_size=300))
def test_sixteen_bits_are_within_half_a_level(values: list[float]) -> None:
    picture = np.resize(
        np.array([*values, *[np.float32((k + 0.5) / 65535) for k in range(600)]], np.float32), (70, 9, 3)
    )
    exact = np.clip(picture.astype(np.longdouble), 0, 1)
    assert np.abs(to_uint16(picture) / np.longdouble(65535) - exact).max() <= (1 + 1e-9) / 65535 / 2


def test_a_picture_is_rounded_once() -> None:
    deep = np.arange(48, dtype=np.uint16).reshape(4, 4, 3)
    assert to_uint16(deep) is deep
    with pytest.raises(ValueError, match="uint16 was rounded to another depth already"):
        to_uint8(deep)
    with pytest.raises(ValueError, match="uint8 was rounded"):
        to_uint16(deep.astype(np.uint8))
