"""The iterates of one scale: evaluate, keep the best, make a step; each sample as if it were alone."""

from collections.abc import Mapping, Sequence
from typing import Protocol, Self

import torch
from torch import Tensor

from nst_kernel import gpu
from nst_kernel.optimisers import LBFGS, Adam
from nst_kernel.params import StyleParams
from nst_kernel.transfer.descent import Descent
from nst_kernel.transfer.state import below, named

FIRST_STEP, MAX_STEP = 0.005, 0.05
"""Root mean square, in pixel values of [0, 1], of L-BFGS' first step and of any at most."""

LEARNING_RATES = {"lbfgs": 1.0, "adam": 0.02}
"""Steps by optimiser, where no `learning_rate` is given."""


class Losses(Protocol):
    """A function from pixels (B, 3, H, W) to losses (B, K), whose column 0 is minimised."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return the losses (B, K) of every sample."""

    def select(self, samples: Tensor) -> Self:
        """Return the function of some of the samples, by index."""


class Iterates:
    """The pixels of the samples and all that belongs to them, in tensors that change in place.

    Attributes:
        k: evaluations made, (1,).
        x: pixels (B, 3, H, W).
        best_x: the best iterates.
        best: their losses (B, K).
        curves: losses of every evaluation (iterations, B, K).
        active: (B,), who still makes steps.
        average: sums of the iterates so far (B, 3, H, W), older ones discounted; empty where nobody averages.
        counted: sums of the shares that the iterates have in `average`, (B,): 1 − dᵏ after k of them.
    """

    def __init__(self, objective: Losses, x: Tensor, params: Sequence[StyleParams], iterations: int) -> None:
        shared, B = params[0], len(x)
        self.objective, self.window, self.total = objective, shared.window, iterations
        rates = [p.learning_rate or LEARNING_RATES[p.optimizer] for p in params]
        rate = torch.tensor(rates, dtype=x.dtype, device=x.device)
        self.optimizer = (
            LBFGS(
                history=shared.history,
                learning_rate=rate,
                first_step=FIRST_STEP,
                max_step=MAX_STEP,
                learns_curvature=shared.learn_curvature,
            )
            if shared.optimizer == "lbfgs"
            else Adam(learning_rate=rate, beta2=[p.adam_beta2 for p in params])
        )
        self.ends = any(p.min_improvement > 0 for p in params)
        self.min_improvement = torch.tensor([p.min_improvement for p in params], dtype=x.dtype, device=x.device)
        self.k = torch.zeros(1, dtype=torch.int64, device=x.device)
        self.clamps = any(p.clamp for p in params)
        self.clamped = torch.tensor([p.clamp for p in params], device=x.device)
        self.x = self._within(x.detach()).clone(memory_format=torch.contiguous_format)
        self.best_x = self.x.clone()
        self.best = self.curves = self.trail = x.new_empty(0)
        self.diverged = torch.zeros(B, dtype=torch.bool, device=x.device)
        self.lost = self.diverged.clone()  # at the last evaluation: back at the best iterate, to start anew
        self.made = torch.zeros(B, dtype=torch.int64, device=x.device)
        self.active = torch.ones(B, dtype=torch.bool, device=x.device)
        self.averages = any(p.averaging > 0 for p in params)
        self.decay = torch.tensor([p.averaging for p in params], dtype=x.dtype, device=x.device)
        self.average = torch.zeros_like(self.x if self.averages else self.x[:0])
        self.counted = torch.zeros_like(self.decay)

    def iterate(self) -> None:
        """Make one evaluation and one step."""
        x = self.x.detach().requires_grad_()
        losses = self.objective(x)
        (gradient,) = torch.autograd.grad(losses[:, 0].sum(), x)
        losses = losses.detach()
        if not len(self.best):
            self.best = torch.full_like(losses, torch.nan)
            self.curves = losses.new_full((self.total, *losses.shape), torch.nan)
            self.trail = losses.new_full((self.total, len(losses)), torch.nan)
        active, best = self.active, self.best
        finite = torch.isfinite(losses[:, 0]) & _finite(gradient)
        better = active & finite & ~(losses[:, 0] >= best[:, 0])  # than none, a NaN, too
        self.diverged |= active & ~finite
        self.made += active
        best.copy_(torch.where(better.unsqueeze(1), losses, best))
        self.best_x.copy_(_replaced(better, self.x, self.best_x))
        self.curves.index_copy_(0, self.k, torch.where(active.unsqueeze(1), losses, torch.nan).unsqueeze(0))
        if self.averages:
            self._add_to_average(finite)
        gradient.masked_fill_(_like(~finite, gradient), 0.0)
        following = self._within(self.optimizer.step(self.x, gradient, restart=self.lost | ~finite))
        following = _replaced(~finite, self.best_x, following)
        self.lost.copy_(~finite)
        if self.ends:
            following = _replaced(~active, self.x, following)
            self._end()
        self.x.copy_(following)
        self.k += 1

    def _within(self, x: Tensor) -> Tensor:
        """Return pixels clamped to [0, 1] for the samples that want it."""
        return _choose(self.clamped, x.clamp(0, 1), x) if self.clamps else x

    def _end(self) -> None:
        """Stop the steps of samples that have not become better by `min_improvement` within the window."""
        total = self.best[:, 0]
        self.trail.index_copy_(0, self.k, total.unsqueeze(0))
        before = self.trail.index_select(0, (self.k - self.window).clamp_min(0))[0]
        fell = before - total >= self.min_improvement * before.abs()
        self.active &= fell | (self.k < self.window) | (self.min_improvement == 0) | ~torch.isfinite(before)

    def _add_to_average(self, finite: Tensor) -> None:
        """Add the iterates to their averages, each with a share of 1 − d; a sample that is lost begins anew."""
        counts = self.active & finite
        kept = torch.where(counts, self.decay, 1.0).masked_fill(self.active & ~finite, 0.0)
        share = torch.where(counts, 1 - self.decay, 0.0)
        x = _choose(counts, self.x, torch.zeros_like(self.x))
        self.average.mul_(_like(kept, x)).add_(x * _like(share, x))
        self.counted.mul_(kept).add_(share)

    def pictures(self) -> Tensor:
        """Return what would be the results now: averages of the samples that average, best iterates of the others."""
        if not self.averages:
            return self.best_x
        there = (self.decay > 0) & (self.counted > 0)
        return _choose(there, self.average / _like(self.counted, self.average), self.best_x)

    @torch.no_grad()
    def _averaged(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pictures of these samples and their losses, those of averages evaluated once more.

        Each is evaluated alone, so that losses do not depend on who is in the batch at the end. An average whose loss
        is not finite gives way to the best iterate.
        """
        x, losses = self.best_x[samples], self.best[samples]
        for n, (averages, picture) in enumerate(zip(self.decay[samples] > 0, self.pictures()[samples], strict=True)):
            own = self.objective.select(samples[n : n + 1])(picture.unsqueeze(0))[0] if averages else losses[n]
            if averages and own[0].isfinite():
                x[n], losses[n] = picture, own
        return x, losses

    def select(self, samples: Tensor) -> None:
        """Go on with these samples alone."""
        self.objective = self.objective.select(samples)
        self.optimizer.select(samples)
        for name in BY_SAMPLE + AVERAGES * self.averages:
            setattr(self, name, getattr(self, name)[samples])
        self.curves, self.trail = self.curves[:, samples], self.trail[:, samples]

    def to_tensors(self) -> dict[str, Tensor]:
        """Return by name every tensor that changes during the descent, including the optimizer's state."""
        tensors: dict[str, Tensor] = {name: getattr(self, name) for name in CHANGING + AVERAGES * self.averages}
        return {**tensors, **named("optimizer", self.optimizer.state)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore every tensor that changes during the descent from what `to_tensors` returned."""
        here = {name: tensor.to(self.x.device, copy=True) for name, tensor in tensors.items()}  # ours change in place
        for name in CHANGING + AVERAGES * self.averages:
            setattr(self, name, here[name])
        self.optimizer.state = below("optimizer", here)

    def descent(self, samples: Tensor) -> Descent:
        """Return the result of these samples so far: their pictures, losses and curves."""
        return Descent(
            *(self._averaged(samples) if self.averages else (self.best_x[samples], self.best[samples])),
            self.curves[:, samples],
            self.made[samples],
            self.diverged[samples],
        )


BY_SAMPLE = ("min_improvement", "clamped", "decay", "x", "best_x", "best", "made", "diverged", "lost", "active")
AVERAGES = ("average", "counted")
CHANGING = ("k", "x", "best_x", "best", "curves", "trail", "diverged", "lost", "made", "active")


def _finite(gradient: Tensor) -> Tensor:
    """Return which samples have no infinite and no missing value, (B,)."""
    if gpu.serves(gradient):  # squares of finite numbers in fp32, and their sums, are finite in float64
        return gpu.squares(gradient.flatten(1))[:, 0].isfinite()
    return gradient.isfinite().flatten(1).all(1)


def _replaced(chosen: Tensor, source: Tensor, into: Tensor) -> Tensor:
    """Return `into` (B, ...) with the samples of `source` that are chosen (B,); it may be written over."""
    if gpu.serves(into):  # reads and writes the chosen alone
        gpu.keep(chosen, source, into)
        return into
    return _choose(chosen, source, into)


def _choose(mask: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return samples of a where mask (B,) is true, of b elsewhere; a value that is not chosen may be NaN."""
    return torch.where(_like(mask, a), a, b)


def _like(mask: Tensor, x: Tensor) -> Tensor:
    """View a mask (B,) so that it broadcasts against x (B, ...)."""
    return mask.view(-1, *(1,) * (x.dim() - 1))
