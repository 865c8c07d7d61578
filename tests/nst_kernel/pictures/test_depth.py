"""Rounding to 8 bits is torch's, so that files are what they were when the kernel rounded."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from nst_kernel import to_uint8

HALVES = [(k + 0.5) / 255 for k in range(255)]


@given(st.lists(st.floats(-0.5, 1.5, width=32), min_size=3, max_size=300))
def test_floats_are_rounded_as_torch_rounds(values: list[float]) -> None:
    picture = np.resize(np.array([*values, *HALVES], np.float32), (1, 128, 3))
    by_torch = (torch.from_numpy(picture).clamp(0, 1) * 255).round().to(torch.uint8)
    assert np.array_equal(to_uint8(picture), by_torch.numpy())


def test_bytes_are_left_as_they_are() -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert to_uint8(picture) is picture
