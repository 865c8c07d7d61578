"""Outputs of 2,048 px on a CPU, in the memory that plans count with."""

import pytest

from nst_kernel.cost import Saving
from tests.bench.high import measure


@pytest.mark.slow
def test_two_thousand_pixels_in_tiles_are_what_they_are_at_once() -> None:
    """Loss and memory; each in a process of its own, of three evaluations in fp32."""
    ways: tuple[Saving, ...] = ("checkpoint", "tiles")
    at_once, in_tiles = (measure(2048, way, evaluations=3, precision="fp32") for way in ways)
    assert in_tiles["loss"] == pytest.approx(at_once["loss"], rel=1e-3)
    for found in (at_once, in_tiles):
        assert 0.7 * found["planned"] < found["bytes"] < 1.05 * found["planned"]
    assert in_tiles["bytes"] < at_once["bytes"]
