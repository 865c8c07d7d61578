"""The loop of one scale: evaluate, keep the best, step; each sample as if alone, none waiting for the device."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from nst_kernel.optimisers import LBFGS, Adam
from nst_kernel.params import StyleParams
from nst_kernel.transfer.cuda_graph import Repeated
from nst_kernel.transfer.pacing import Pace, mark
from nst_kernel.transfer.state import below, listed, named, numbered

FIRST_STEP, MAX_STEP = 0.005, 0.05
"""Root mean square, in pixel values of [0, 1], of L-BFGS' first step and of any at most."""

LEARNING_RATES = {"lbfgs": 1.0, "adam": 0.02}

PATIENCE = 20
"""Evaluations between two looks at who has finished."""

Tick = Callable[[int], bool | None]
"""Told the evaluations made, after each one; says True, and goes on saying so, to have the descent stopped."""


class Losses(Protocol):
    """Pixels (B, 3, H, W) to losses (B, K), of which column 0 is minimised."""

    def __call__(self, x: Tensor) -> Tensor:
        """The losses of every sample."""

    def select(self, samples: Tensor) -> Self:
        """The same for some of the samples, by index."""


@dataclass(frozen=True)
class Descent:
    """What became of a batch at one scale.

    Attributes:
        x: the best iterates (B, 3, H, W).
        losses: theirs, (B, K); NaN for a sample that never had a finite one.
        curves: of every evaluation, (iterations, B, K); NaN after a sample's end.
        iterations: evaluations that each sample made, (B,).
        diverged: (B,), whether a loss or a gradient was not finite on the way.
    """

    x: Tensor
    losses: Tensor
    curves: Tensor
    iterations: Tensor
    diverged: Tensor

    def to_tensors(self) -> dict[str, Tensor]:
        """By the names above; `Descent(**tensors)` is the same again."""
        return dict(vars(self))

    def to(self, device: torch.device) -> "Descent":
        """The same on a device."""
        return Descent(**{name: tensor.to(device) for name, tensor in self.to_tensors().items()})


class Stopped(Exception):
    """Raised by a descent that its `tick` has stopped.

    Attributes:
        tensors: what `descend` needs to go on.
        iteration: evaluations made.
        so_far: what has become of the batch.
        ended: (B,), whose outcome is final.
    """

    def __init__(self, tensors: Mapping[str, Tensor], iteration: int, so_far: Descent, ended: Tensor) -> None:
        self.tensors, self.iteration, self.so_far, self.ended = tensors, iteration, so_far, ended
        super().__init__(f"stopped at evaluation {iteration}")


def descend(
    objective: Losses,
    x: Tensor,
    params: Sequence[StyleParams],
    *,
    iterations: int,
    tick: Tick | None = None,
    resume: Mapping[str, Tensor] | None = None,
) -> Descent:
    """Minimise column 0 of `objective` over x (B, ...), each sample by itself.

    A sample whose loss or gradient is not finite goes back to its best iterate, starts anew and is marked.
    One whose loss fell by less than `min_improvement` of itself over `window` evaluations stays where it is, and
    leaves the batch once a quarter of it has, so that the rest goes faster.

    Args:
        objective: of all samples.
        x: where they start.
        params: of each sample.
        iterations: evaluations at most.
        tick: called after each evaluation; True stops all.
        resume: `Stopped.tensors` of the same descent. It ends as if it had not been stopped, on a CPU to the bit.

    Raises:
        Stopped: when `tick` says so, unless nobody is left to go on.
    """
    ends = any(p.min_improvement > 0 for p in params)
    members = torch.arange(len(x))  # of the walk, by their place in x
    finished: list[tuple[Tensor, Descent]] = []
    if resume is not None:
        members = resume["members"]
        for part in listed("gone", resume):
            finished.append((part.pop("members"), Descent(**part).to(x.device)))
        if len(members) < len(x):
            here = members.to(x.device)
            objective, x, params = objective.select(here), x[here], [params[b] for b in members.tolist()]
    walk = _Walk(objective, x, params, iterations)
    first = 1
    if resume is not None:
        walk.load(below("walk", resume))
        first += int(walk.k)
    leaving, pace = _Leaving(x.device), Pace(x.device)
    step = Repeated(walk.iterate, x.device)
    for k in range(first, iterations + 1):
        step()
        stop = False
        if tick:
            pace.step()
            stop = bool(tick(k))
        active = leaving.look(walk.active) if ends and k % PATIENCE == 0 else None
        if active is not None and 4 * int(active.sum()) <= 3 * len(active):  # for fewer it does not pay to start anew
            gone, staying = (~active).nonzero()[:, 0], active.nonzero()[:, 0]
            finished.append((members[gone], walk.outcome(gone.to(x.device))))
            members = members[staying]
            if not len(members):
                break
            del step  # and the memory of its graph
            walk.select(staying.to(x.device))
            step, leaving = Repeated(walk.iterate, x.device), _Leaving(x.device)
        if stop:
            raise _stopped(walk, members, finished, k)
    else:
        finished.append((members, walk.outcome(torch.arange(len(members), device=x.device))))
    return _together(finished)


def _stopped(walk: "_Walk", members: Tensor, finished: Sequence[tuple[Tensor, Descent]], k: int) -> Stopped:
    gone = [{"members": places, **outcome.to_tensors()} for places, outcome in finished]
    tensors = {"members": members, **numbered("gone", gone), **named("walk", walk.to_tensors())}
    so_far = _together([*finished, (members, walk.outcome(torch.arange(len(members), device=walk.x.device)))])
    ended = torch.ones(len(so_far.x), dtype=torch.bool)
    ended[members] = ~walk.active.cpu()
    return Stopped(tensors, k, so_far, ended)


class _Walk:
    """Where the samples are, in tensors that change in place."""

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
            else Adam(learning_rate=rate)
        )
        self.ends = any(p.min_improvement > 0 for p in params)
        self.min_improvement = torch.tensor([p.min_improvement for p in params], dtype=x.dtype, device=x.device)
        self.k = torch.zeros(1, dtype=torch.int64, device=x.device)
        self.x = x.detach().clone(memory_format=torch.contiguous_format)
        self.best_x = self.x.clone()
        self.best = self.curves = self.trail = x.new_empty(0)
        self.diverged = torch.zeros(B, dtype=torch.bool, device=x.device)
        self.lost = self.diverged.clone()  # at the last evaluation: back at the best iterate, to start anew
        self.made = torch.zeros(B, dtype=torch.int64, device=x.device)
        self.active = torch.ones(B, dtype=torch.bool, device=x.device)

    def iterate(self) -> None:
        """One evaluation and one step."""
        x = self.x.detach().requires_grad_()
        losses = self.objective(x)
        (gradient,) = torch.autograd.grad(losses[:, 0].sum(), x)
        losses = losses.detach()
        if not len(self.best):
            self.best = torch.full_like(losses, torch.nan)
            self.curves = losses.new_full((self.total, *losses.shape), torch.nan)
            self.trail = losses.new_full((self.total, len(losses)), torch.nan)
        active, best = self.active, self.best
        finite = torch.isfinite(losses[:, 0]) & torch.isfinite(gradient).flatten(1).all(1)
        better = active & finite & ~(losses[:, 0] >= best[:, 0])  # also than none, a NaN
        self.diverged |= active & ~finite
        self.made += active
        best.copy_(torch.where(better.unsqueeze(1), losses, best))
        self.best_x.copy_(_choose(better, self.x, self.best_x))
        self.curves.index_copy_(0, self.k, torch.where(active.unsqueeze(1), losses, torch.nan).unsqueeze(0))
        gradient.masked_fill_(_like(~finite, gradient), 0.0)
        there = _choose(finite, self.optimizer.step(self.x, gradient, restart=self.lost | ~finite), self.best_x)
        self.lost.copy_(~finite)
        if self.ends:
            there = _choose(active, there, self.x)
            self._end()
        self.x.copy_(there)
        self.k += 1

    def _end(self) -> None:
        """Who has not become better by its `min_improvement` within the window makes no more steps."""
        total = self.best[:, 0]
        self.trail.index_copy_(0, self.k, total.unsqueeze(0))
        before = self.trail.index_select(0, (self.k - self.window).clamp_min(0))[0]
        fell = before - total >= self.min_improvement * before.abs()
        self.active &= fell | (self.k < self.window) | (self.min_improvement == 0) | ~torch.isfinite(before)

    def select(self, samples: Tensor) -> None:
        """Go on with these samples alone."""
        self.objective = self.objective.select(samples)
        self.optimizer.select(samples)
        for name in ("min_improvement", "x", "best_x", "best", "made", "diverged", "lost", "active"):
            setattr(self, name, getattr(self, name)[samples])
        self.curves, self.trail = self.curves[:, samples], self.trail[:, samples]

    def to_tensors(self) -> dict[str, Tensor]:
        """All that changes on the way, by name."""
        tensors: dict[str, Tensor] = {name: getattr(self, name) for name in _CHANGING}
        return {**tensors, **named("optimizer", self.optimizer.state)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from `to_tensors` of a walk of the same samples."""
        here = {name: tensor.to(self.x.device, copy=True) for name, tensor in tensors.items()}  # ours change in place
        for name in _CHANGING:
            setattr(self, name, here[name])
        self.optimizer.state = below("optimizer", here)

    def outcome(self, samples: Tensor) -> Descent:
        """What these samples have come to."""
        return Descent(
            self.best_x[samples],
            self.best[samples],
            self.curves[:, samples],
            self.made[samples],
            self.diverged[samples],
        )


_CHANGING = ("k", "x", "best_x", "best", "curves", "trail", "diverged", "lost", "made", "active")


class _Leaving:
    """Who is still active, as the host learns it without waiting: one look late."""

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"
        self.sent: tuple[Tensor, torch.cuda.Event] | None = None

    def look(self, active: Tensor) -> Tensor | None:
        """The mask as it was at the last look; on a CPU, as it is."""
        if not self.on_gpu:
            return active.clone()
        last, mask = self.sent, torch.empty(len(active), dtype=torch.bool, pin_memory=True)
        mask.copy_(active, non_blocking=True)
        self.sent = mask, mark()
        if last is None:
            return None
        last[1].synchronize()  # of many evaluations ago: the device has more than enough to do meanwhile
        return last[0]


def _together(parts: Sequence[tuple[Tensor, Descent]]) -> Descent:
    """Samples that finished at different times, in their places."""
    order = torch.cat([members for members, _ in parts]).argsort()
    outcomes = [outcome for _, outcome in parts]
    order = order.to(outcomes[0].x.device)
    return Descent(
        torch.cat([o.x for o in outcomes])[order],
        torch.cat([o.losses for o in outcomes])[order],
        torch.cat([o.curves for o in outcomes], dim=1)[:, order],
        torch.cat([o.iterations for o in outcomes])[order],
        torch.cat([o.diverged for o in outcomes])[order],
    )


def _choose(mask: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Samples of a where mask (B,) is true, of b elsewhere; a value not chosen may be NaN."""
    return torch.where(_like(mask, a), a, b)


def _like(mask: Tensor, x: Tensor) -> Tensor:
    """A mask (B,) that broadcasts against x (B, ...)."""
    return mask.view(-1, *(1,) * (x.dim() - 1))
