"""Averages of iterates in the place of the best one."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from nst_kernel import Observer, Pair, StyleParams, stylize_batch
from nst_kernel.pictures import resize
from nst_kernel.transfer.descent import Descent
from nst_kernel.transfer.one_scale import descend
from tests.support import PLAIN, encoder, pixels

START = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@dataclasses.dataclass
class Bowls:
    """Uneven bowls, one per sample; their losses are `value` for some samples at some evaluations."""

    centres: Tensor
    lost: dict[int, int] = dataclasses.field(default_factory=dict)
    value: float = torch.nan
    seen: list[Tensor] = dataclasses.field(default_factory=list)

    def __call__(self, x: Tensor) -> Tensor:
        weights = torch.arange(1, 9, dtype=x.dtype).view(2, 4)
        losses = (weights * (x - self.centres).square()).flatten(1).sum(1)
        for sample, when in self.lost.items():
            if when == len(self.seen):
                losses = losses * torch.ones_like(losses).index_fill(0, torch.tensor(sample), self.value)
        self.seen.append(x.detach().clone())
        return torch.stack([losses, x[:, 0, 0]], 1)

    def select(self, samples: Tensor) -> Self:
        return type(self)(self.centres[samples])


def params(decays: Sequence[float], **others: object) -> list[StyleParams]:
    shared = {**PLAIN, "optimizer": "adam", "learning_rate": 0.1, **others}
    return [StyleParams.of({**shared, "averaging": decay}) for decay in decays]


def run(bowls: Bowls, decays: Sequence[float], iterations: int = 12, **others: object) -> Descent:
    return descend(bowls, START[: len(decays)], params(decays, **others), iterations=iterations)


def average(iterates: Sequence[Tensor], decay: float) -> Tensor:
    shares = [decay ** (len(iterates) - 1 - i) for i in range(len(iterates))]
    return sum((s * x for s, x in zip(shares, iterates, strict=True)), torch.zeros_like(iterates[0])) / sum(shares)


def test_the_picture_is_the_average_and_its_losses_are_its_own() -> None:
    """A sample that does not average has its best iterate, beside mates that do."""
    bowls, decays = Bowls(torch.ones(3, 1, 1, dtype=torch.float64)), (0.9, 0.0, 0.5)
    descent = run(bowls, decays)
    for b in (0, 2):
        expected = average([x[b] for x in bowls.seen[:12]], decays[b])
        torch.testing.assert_close(descent.x[b], expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(descent.losses, Bowls(bowls.centres)(descent.x), rtol=1e-12, atol=0)
    best = run(Bowls(bowls.centres), (0, 0, 0))
    assert torch.equal(descent.x[1], best.x[1])
    assert torch.equal(descent.losses[1], best.losses[1])
    assert torch.equal(descent.curves, best.curves)


@pytest.mark.parametrize("decay", [0.3, 0.999])
@pytest.mark.parametrize("iterations", [1, 2, 30])
def test_the_average_of_what_stays_where_it_is_is_that(decay: float, iterations: int) -> None:
    descent = run(Bowls(START), (decay,) * 3, iterations)  # each begins in the middle of its bowl
    torch.testing.assert_close(descent.x, START, rtol=1e-12, atol=0)


def test_a_sample_that_is_lost_begins_its_average_anew() -> None:
    centres = torch.ones(3, 1, 1, dtype=torch.float64)
    bowls = Bowls(centres, lost={1: 5})
    descent, undisturbed = run(bowls, (0.9, 0.9, 0)), run(Bowls(centres), (0.9, 0.9, 0))
    torch.testing.assert_close(descent.x[1], average([x[1] for x in bowls.seen[6:12]], 0.9), rtol=1e-12, atol=1e-12)
    assert descent.diverged.tolist() == [False, True, False]
    assert torch.equal(descent.x[[0, 2]], undisturbed.x[[0, 2]])


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_sample_that_is_never_finite_stays_where_it_began(value: float) -> None:
    bowls = Bowls(torch.full_like(START, value))
    descent = run(bowls, (0.9, 0.5, 0))
    assert torch.equal(descent.x, START)
    assert bool(descent.losses[:, 0].isnan().all())


def test_samples_that_end_early_have_the_averages_of_their_iterates() -> None:
    """As each has alone."""
    changes: list[dict[str, object]] = [{"min_improvement": 0.3}, {"averaging": 0}, {"init": "noise"}]
    pairs = [
        Pair.of(pixels(n, 24, 20), pixels(10 + n, 20, 28), StyleParams.of({**SHALLOW, **changed}))
        for n, changed in enumerate(changes)
    ]
    together = stylize_batch(pairs, DOUBLE)
    assert together[0].iterations < together[1].iterations
    for pair, result in zip(pairs, together, strict=True):
        (alone,) = stylize_batch([pair], DOUBLE)
        assert result.losses == pytest.approx(alone.losses, rel=1e-9)
        np.testing.assert_allclose(result.image, alone.image, atol=1e-6)


SHALLOW: dict[str, object] = {
    "content_layers": "conv2_1",
    "style_layers": "conv1_1, conv2_1",
    "scales": "16",
    "iterations": "5, 25",
    "window": 5,
    "min_improvement": 1e-9,
    "optimizer": "adam",
    "averaging": 0.9,
    "precision": "fp32",
}
DOUBLE = encoder("conv2_1", torch.float64, narrower=8)


def test_the_next_scale_begins_with_the_average() -> None:
    """Whose only iterate it then is; who watches sees averages too."""

    class Watching(Observer):
        wants_frames = True
        shown: ClassVar[list[Tensor]] = []

        def frame(self, sample: int, evaluation: int, picture: NDArray[np.float32]) -> None:
            self.shown.append(torch.from_numpy(picture).permute(2, 0, 1))

    values = {**SHALLOW, "iterations": "10, 1", "save_every": 5}
    pair = Pair.of(pixels(0, 24, 20), pixels(1, 20, 28), StyleParams.of(values))
    (result,) = stylize_batch([pair], DOUBLE, observer=Watching())
    expected = resize(Watching.shown[1], (24, 20)).clamp(0, 1)
    np.testing.assert_allclose(result.image, expected.permute(1, 2, 0), atol=1e-6)
