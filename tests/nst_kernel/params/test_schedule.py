"""The scales of a transfer, and the loss evaluations at each."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_kernel import ParamError, StyleParams


@pytest.mark.parametrize(
    ("parameters", "size", "expected"),
    [
        ({}, 256, [(256, 150)]),
        ({}, 512, [(256, 150), (512, 150)]),
        ({}, 600, [(256, 150), (600, 150)]),
        ({}, 1024, [(256, 150), (512, 150), (1024, 150)]),
        ({"scales": "", "iterations": 7}, 512, [(512, 7)]),
        ({"scales": "128, 256", "iterations": "30, 20, 10"}, 512, [(128, 30), (256, 20), (512, 10)]),
        ({"scales": "128, 256", "iterations": "30, 20, 10"}, 200, [(128, 30), (200, 10)]),
        ({"preset": "gatys2015"}, 512, [(512, 500)]),
        ({"scales": "sqrt2"}, 512, [(128, 150), (181, 150), (256, 150), (362, 150), (512, 150)]),
        ({"scales": "sqrt2", "iterations": "9, 5"}, 300, [(150, 9), (212, 5), (300, 5)]),
        ({"scales": "sqrt2", "iterations": "9, 5"}, 180, [(180, 9)]),
        ({"scales": "sqrt2", "iterations": "9, 5", "min_scale": 256}, 100, [(100, 9)]),
        ({"scales": "sqrt2", "min_scale": 90}, 180, [(90, 150), (127, 150), (180, 150)]),
    ],
)
def test_the_schedule_goes_from_coarse_to_fine(
    parameters: dict[str, Any], size: int, expected: list[tuple[int, int]]
) -> None:
    assert StyleParams.of(parameters).schedule(size) == tuple(expected)


def test_iterations_are_one_number_or_one_for_each_scale() -> None:
    with pytest.raises(ParamError, match=r"iterations = \(5, 6\): expected one number, or 3: one for each of scales"):
        StyleParams.of({"scales": "64, 128", "iterations": "5, 6"})
    with pytest.raises(ParamError, match=r"iterations = \(5, 6, 7\): expected one number, or 2: one for the first"):
        StyleParams.of({"scales": "sqrt2", "iterations": "5, 6, 7"})


@given(st.integers(16, 16384), st.integers(16, 16384))
def test_steps_of_the_root_of_two_end_at_the_output_and_begin_as_low_as_they_may(size: int, least: int) -> None:
    sides = [side for side, _ in StyleParams.of({"scales": "sqrt2", "min_scale": least}).schedule(size)]
    assert sides == [round(size / 2 ** (n / 2)) for n in reversed(range(len(sides)))]
    assert size / 2 ** (len(sides) / 2) < least * (1 + 1e-12)  # one more step would be too small
    assert sides[0] >= min(size, least)
