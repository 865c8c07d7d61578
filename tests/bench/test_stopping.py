"""Where a descent ends, by the benchmark, is where the kernel ends it."""

import numpy as np
import pytest

from nst_kernel import Pair, StyleParams, stylize_batch
from tests.bench.stopping import end, medians
from tests.support import encoder, pixels

SHALLOW: dict[str, object] = {
    "style_layers": "conv1_1",
    "content_layers": "conv1_1",
    "scales": (),
    "iterations": 40,
    "precision": "fp32",
    "window": 10,
}


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_kernel_ends_there(share: float) -> None:
    def descent(least: float) -> tuple[int, np.ndarray]:
        params = StyleParams.of({**SHALLOW, "min_improvement": least})
        (result,) = stylize_batch([Pair.of(pixels(0, 24, 24), pixels(1, 24, 24), params)], encoder("conv1_1"))
        return result.iterations, np.minimum.accumulate(result.curve["total"])

    made, _ = descent(share)
    to_the_end, best = descent(0.0)
    assert made == end(best, share, 10) <= to_the_end == 40


def test_medians_are_of_each_mark() -> None:
    figures = [{"loss": {20: 1.5, 40: 1.0}}, {"loss": {20: 1.1, 40: 1.0}}, {"loss": {20: 1.2, 40: 1.0}}]
    assert medians(figures) == {"loss": {"20": 1.2, "40": 1.0}}
