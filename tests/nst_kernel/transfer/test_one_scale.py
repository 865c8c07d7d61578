"""The loop of one scale, on functions of a few numbers: what is kept, what is marked, where a lost sample goes on."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Self

import pytest
import torch
from torch import Tensor

from nst_kernel import StyleParams
from nst_kernel.objective.objective import Objective
from nst_kernel.objective.targets import Targets, content_features, style_grams
from nst_kernel.params import contradictions
from nst_kernel.transfer import iterates
from nst_kernel.transfer import one_scale as module
from nst_kernel.transfer.descent import Descent
from nst_kernel.transfer.iterates import FIRST_STEP, MAX_STEP
from nst_kernel.transfer.observer import Observer
from tests.nst_kernel.optimisers.test_optimisers import torch_lbfgs
from tests.support import PLAIN, encoder, pixels

START = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Losses = Callable[[Tensor], Tensor]


class Whole:
    """A function of all samples as what `descend` takes, for those that never part."""

    def __init__(self, losses: Losses) -> None:
        self.losses = losses

    def __call__(self, x: Tensor) -> Tensor:
        return self.losses(x)

    def select(self, samples: Tensor) -> Self:
        raise AssertionError(f"{samples} go on alone")


def descend(losses: Losses, x: Tensor, params: Sequence[StyleParams], observer: Observer | None = None) -> Descent:
    return module.descend(Whole(losses), x, params, iterations=params[0].iterations[0], observer=observer)


BOTH = pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])


def bowl(x: Tensor) -> Tensor:
    """Two columns: an uneven bowl, and a number that shows whose row it is."""
    weights = torch.arange(1, 9).view(2, 4)
    return torch.stack(
        [(weights * (x - 1).square()).flatten(1).sum(1) + (x[:, 0, 0] * x[:, 1, 1]).square(), x[:, 0, 0]], 1
    )


class Cursed:
    """`bowl`, but the loss of sample 1 is `value` at the evaluations `when`; remembers where it was evaluated."""

    def __init__(self, *when: int, value: float = torch.nan, sample: int = 1) -> None:
        self.when, self.value, self.sample = when, value, sample
        self.seen: list[Tensor] = []

    def __call__(self, x: Tensor) -> Tensor:
        factor = torch.ones(len(x), 1, dtype=x.dtype)
        if len(self.seen) in self.when:
            factor[self.sample] = self.value
        self.seen.append(x.detach().clone())
        return bowl(x) * factor


class Listening(Observer):
    """Keeps losses, and whether each iteration came after them."""

    def __init__(self, wants: bool) -> None:
        self.wants_losses = wants
        self.told: list[tuple[int, float]] = []
        self.before: list[int] = []

    def loss(self, sample: int, total: float) -> None:
        self.told.append((sample, total))

    def iteration(self, done: int, total: int) -> None:
        self.before.append(len(self.told))


def test_an_observer_is_told_losses_if_it_wants_them() -> None:
    for wants in (True, False):
        listening = Listening(wants)
        curves = descend(bowl, START, params("adam"), listening).curves[:, :, 0]
        expected = [(sample, float(loss)) for losses in curves for sample, loss in enumerate(losses)]
        assert listening.told == expected * wants
        assert listening.before == [3 * wants * k for k in range(1, 13)]


def params(
    optimizer: str, iterations: int = 12, rates: Sequence[float | None] = (0.05, 0.03, 0.04)
) -> list[StyleParams]:
    given = {**PLAIN, "optimizer": optimizer, "iterations": iterations, "min_improvement": 0, "history": 5}
    return [StyleParams.of({**given, "learning_rate": rate}) for rate in rates]


def same(a: Descent, b: Descent, samples: list[int]) -> bool:
    return (
        torch.equal(a.x[samples], b.x[samples])
        and torch.equal(a.losses[samples], b.losses[samples])
        and torch.equal(a.curves[:, samples], b.curves[:, samples])
        and torch.equal(a.diverged[samples], b.diverged[samples])
    )


@BOTH
def test_the_best_iterate_is_kept_with_its_losses(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contradictions, "MAX_ADAM_RATE", 3.0)  # too much, so that the last is not the best
    descent = descend(bowl, START, params(optimizer, 60, rates=(2.5, 0.05, 1.0)))
    assert descent.curves.shape == (60, 3, 2)
    best = descent.curves[:, :, 0].argmin(0)
    assert best[0] < 59
    assert torch.equal(descent.losses, descent.curves[best, range(3)])
    assert torch.equal(descent.losses, bowl(descent.x))
    assert torch.equal(descent.curves[0], bowl(START))
    assert not descent.diverged.any()


@BOTH
@pytest.mark.parametrize("when", [(1,), (5,), (2, 3, 9), (11,), range(12)], ids=str)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_lost_sample_leaves_its_mates_alone(optimizer: str, when: Sequence[int], value: float) -> None:
    undisturbed, cursed = Cursed(), Cursed(*when, value=value)
    before, after = (descend(objective, START, params(optimizer)) for objective in (undisturbed, cursed))
    assert after.diverged.tolist() == [False, True, False]
    assert same(before, after, [0, 2])

    without = [0, 2]
    mates = descend(bowl, START[without], [params(optimizer)[b] for b in without])
    torch.testing.assert_close(after.x[without], mates.x, rtol=1e-12, atol=1e-12)


@BOTH
@pytest.mark.parametrize("when", [1, 2, 7])
def test_a_lost_sample_starts_again_from_its_best_iterate(optimizer: str, when: int) -> None:
    """As a new descent from there would: with a first step scaled to be safe."""
    cursed = Cursed(when)
    descent = descend(cursed, START, params(optimizer))
    best = int(descent.curves[:when, 1, 0].argmin())
    anew = Cursed()
    descend(anew, cursed.seen[best], params(optimizer))
    assert len(cursed.seen) == 12
    for k in range(11 - when):
        torch.testing.assert_close(cursed.seen[when + 1 + k][1], anew.seen[k][1], rtol=1e-12, atol=1e-12)
    assert descent.losses[1, 0] == descent.curves[:, 1, 0].nan_to_num(torch.inf).min()


@BOTH
def test_a_sample_that_is_lost_from_the_start_stays_there(optimizer: str) -> None:
    descent = descend(Cursed(*range(12)), START, params(optimizer))
    assert torch.equal(descent.x[1], START[1])
    assert bool(descent.losses[1].isnan().all())
    assert descent.diverged.tolist() == [False, True, False]


@BOTH
def test_a_gradient_that_is_not_finite_counts_as_lost(optimizer: str) -> None:
    def kinked(x: Tensor) -> Tensor:
        return x.abs().sqrt().flatten(1).sum(1, keepdim=True)

    start = START.abs() + 1
    start[1, 0, 0] = 0
    descent = descend(kinked, start, params(optimizer))
    assert bool(descent.curves.isfinite().all())
    assert descent.diverged.tolist() == [False, True, False]
    assert bool(descent.x.isfinite().all())


@pytest.mark.parametrize("rate", [0.001, 1, 1000])
def test_a_step_of_lbfgs_is_bounded(rate: float) -> None:
    seen = Cursed()
    descend(seen, START, params("lbfgs", rates=(rate, rate, rate)))
    lengths = torch.stack(seen.seen).diff(dim=0).flatten(2).square().mean(2).sqrt()
    assert bool((lengths <= MAX_STEP * (1 + 1e-9)).all())
    assert bool((lengths >= 0.99 * MAX_STEP).any()) is (rate >= 1)
    assert lengths[0].tolist() == pytest.approx([min(FIRST_STEP * rate, MAX_STEP)] * 3)


def test_adam_has_the_second_beta_of_each_sample() -> None:
    seen = Cursed()
    chosen = [
        dataclasses.replace(p, adam_beta2=beta) for p, beta in zip(params("adam"), (0.999, 0.9, 0.5), strict=True)
    ]
    descend(seen, START, chosen)
    for b, p in enumerate(chosen):
        x = START[b : b + 1].clone().requires_grad_()
        optimizer = torch.optim.Adam([x], lr=p.learning_rate or 0, betas=(0.9, p.adam_beta2))
        for expected in torch.stack(seen.seen)[:, b : b + 1]:
            torch.testing.assert_close(x.detach(), expected, rtol=1e-9, atol=1e-12)
            (x.grad,) = torch.autograd.grad(bowl(x)[:, 0].sum(), x)
            optimizer.step()


def test_a_clamped_sample_stays_within_the_range_of_pixels() -> None:
    """From its first pixels on, and its mates go where they would go alone."""
    seen, outside, free = Cursed(), START * 2, params("adam", rates=(0.3, 0.3, 0.3))
    clamped = [dataclasses.replace(free[b], clamp=b == 1) for b in range(3)]
    descend(seen, outside, clamped)
    path = torch.stack(seen.seen)
    assert torch.equal(path[0, 1], outside[1].clamp(0, 1))
    assert 0 == path[:, 1].min() < path[:, 1].max() <= 1
    before = Cursed()
    descend(before, outside, free)
    assert torch.equal(path[:, [0, 2]], torch.stack(before.seen)[:, [0, 2]])
    assert path[:, 0].max() > 1


def test_a_cliff_is_survived() -> None:
    """A step that is too long leads beyond the domain, again and again; the sample still gets lower."""

    def walled(x: Tensor) -> Tensor:
        return (1e4 * x - (1 - x.square()).log()).flatten(1).sum(1, keepdim=True)

    descent = descend(walled, torch.zeros_like(START), params("lbfgs", 40, rates=(1, 4, 0.5)))
    assert descent.diverged[1]
    assert bool((descent.losses[:, 0] < walled(torch.zeros_like(START))[:, 0] - 1000).all())


def test_progress_is_told_after_every_iteration() -> None:
    ticks: list[int] = []
    descend(bowl, START, params("lbfgs", 5), Observer.of(lambda done, _: ticks.append(done)))
    assert ticks == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("optimizer", "rate"), [("lbfgs", 1.0), ("adam", 0.02)])
def test_learning_rates_by_default(optimizer: str, rate: float) -> None:
    by_default = descend(bowl, START, params(optimizer, rates=(None, None, 0.3)))
    given = descend(bowl, START, params(optimizer, rates=(rate, rate, 0.3)))
    assert same(by_default, given, [0, 1, 2])


def test_a_style_transfer_follows_torchs_lbfgs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the three changes undone that we make to it."""
    monkeypatch.setattr(iterates, "FIRST_STEP", None)
    monkeypatch.setattr(iterates, "MAX_STEP", math.inf)
    params = StyleParams.of(
        {"content_layers": "conv2_1", "style_layers": "conv1_1, conv2_1", "iterations": 31, "history": 6, "beta": 10}
        | PLAIN
    )
    vgg = encoder("conv2_1", torch.float64, narrower=8)
    content, style = pixels(0, 16, 20).unsqueeze(0), pixels(1, 24, 16).unsqueeze(0)
    objective = Objective(
        vgg, Targets(content_features(vgg, content, params), style_grams(vgg, style, params)), [params]
    )

    def total(x: Tensor) -> Tensor:
        return objective(x)[:, 0]

    expected = torch_lbfgs(total, content, 30, rate=1, history=6)
    descent = descend(objective, content, [params])
    values = torch.stack([total(x) for x in expected])
    torch.testing.assert_close(descent.curves[..., 0], values.detach(), rtol=1e-9, atol=0)
    torch.testing.assert_close(descent.x, expected[values.argmin()], rtol=1e-9, atol=1e-9)
