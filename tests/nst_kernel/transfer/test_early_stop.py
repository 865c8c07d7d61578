"""Samples that end before the others: where they stop, and that nobody notices."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from nst_kernel import StyleParams
from nst_kernel.transfer.descent import Descent
from nst_kernel.transfer.one_scale import PATIENCE, descend
from tests.support import PLAIN

START = torch.randn(4, 2, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SHARES = (0.0, 0.2, 0.01, 1e-6)
WINDOW, ITERATIONS = 5, 100


class Valleys:
    """Of a slope for each sample; remembers how many samples were evaluated each time."""

    def __init__(self, slopes: Tensor, sizes: list[int]) -> None:
        self.slopes, self.sizes = slopes, sizes

    def __call__(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        weights = torch.logspace(0, 1, x[0].numel(), dtype=x.dtype).view(x.shape[1:])
        return ((weights * (x - 1).square()).flatten(1).sum(1) * self.slopes).unsqueeze(1) + 1e-3

    def select(self, samples: Tensor) -> "Valleys":
        return Valleys(self.slopes[samples], self.sizes)


def run(
    shares: Sequence[float], samples: Sequence[int], optimizer: str = "lbfgs", rate: float = 0.1
) -> tuple[Descent, list[int]]:
    params = [
        StyleParams.of(
            {**PLAIN, "min_improvement": share, "window": WINDOW, "optimizer": optimizer, "learning_rate": rate}
        )
        for share in shares
    ]
    sizes: list[int] = []
    slopes = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)[list(samples)]
    return descend(Valleys(slopes, sizes), START[list(samples)], params, iterations=ITERATIONS), sizes


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_sample_ends_where_it_became_too_slow(optimizer: str) -> None:
    descent, _ = run(SHARES, range(4), optimizer)
    for b, share in enumerate(SHARES):
        curve, made = descent.curves[:, b, 0], int(descent.iterations[b])
        best = curve[:made].cummin(0).values
        too_slow = [
            k for k in range(WINDOW, ITERATIONS) if k < made and best[k - WINDOW] - best[k] < share * best[k - WINDOW]
        ]
        assert made == (too_slow[0] + 1 if share and too_slow else ITERATIONS)
        assert bool(curve[made:].isnan().all())
        assert descent.losses[b, 0] == best[-1]
    assert descent.iterations[0] == ITERATIONS > descent.iterations[2] > descent.iterations[1]


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_nobody_notices_that_another_has_left(optimizer: str) -> None:
    together, sizes = run(SHARES, range(4), optimizer)
    assert sizes[0] == 4
    assert sizes[-1] < 4
    for b, share in enumerate(SHARES):
        by_itself, _ = run([share or 1e-30], [b], optimizer)
        torch.testing.assert_close(together.x[b], by_itself.x[0], rtol=1e-12, atol=1e-12)
        assert together.iterations[b] == by_itself.iterations[0]


def test_the_work_ends_with_the_last_sample() -> None:
    descent, sizes = run((0.2, 0.2, 0.2, 0.2), range(4), rate=0.5)
    assert int(descent.iterations.max()) <= len(sizes) <= int(descent.iterations.max()) + PATIENCE
    assert len(sizes) < ITERATIONS


def test_without_a_threshold_all_go_to_the_end() -> None:
    descent, sizes = run((0.0,) * 4, range(4))
    assert sizes == [4] * ITERATIONS
    assert descent.iterations.tolist() == [ITERATIONS] * 4
    assert bool(descent.curves.isfinite().all())
