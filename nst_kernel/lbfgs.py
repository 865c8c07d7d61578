"""L-BFGS for a batch of independent problems: every sample has its own history, curvature check and step.

Per sample it is `torch.optim.LBFGS` with a fixed step (Nocedal and Wright, algorithm 7.4 and 7.5): the first step is
scaled by 1/‖g‖₁, a pair of too little curvature (y·s ≤ 1e-10) is left out (though here it keeps its place in the
history, which the batch fills in step), and a direction that does not descend is replaced by steepest descent. Nothing
here waits for the device.
"""

import math
from collections import deque

import torch
from torch import Tensor

MIN_CURVATURE = 1e-10


class LBFGS:
    """Steps for x (B, ...), given the gradient of each sample's own loss."""

    def __init__(
        self, *, history: int, learning_rate: Tensor, first_step: float | None = None, max_step: float = math.inf
    ) -> None:
        """`history` pairs are kept (two copies of x each); `learning_rate` is (B,).

        A first step has the root mean square `first_step`, or torch's length: by that, a picture of n values moves by
        1/n each, and in bf16 the change of gradient that should tell the curvature is then rounding noise.
        A step whose root mean square exceeds `max_step` is shortened to it: without a line search a poor estimate of
        the curvature would throw a sample far away, and cost it dozens of iterations to come back.
        """
        self.first_step, self.max_step = first_step, max_step
        self.learning_rate = learning_rate.unsqueeze(1)
        self.pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=history)  # s, y (B, D), 1/(y·s) (B, 1)
        self.previous: tuple[Tensor, Tensor] | None = None  # gradient and step, (B, D)

    def step(self, x: Tensor, gradient: Tensor, restart: Tensor) -> Tensor:
        """The next x. Samples where `restart` (B,) is true forget their history first."""
        g = gradient.flatten(1)
        fresh = restart.unsqueeze(1)
        if self.previous is None:
            self.scale = torch.ones_like(g[:, :1])  # the initial Hessian's diagonal, per sample
            self.begun = torch.zeros_like(fresh)
        else:
            self._remember(g, fresh)
        self.begun = self.begun & ~fresh
        direction = self._direction(g)
        descends = _dot(direction, g) < 0  # false of a NaN too: products of huge gradients overflow
        direction = torch.where(descends, direction, -g)
        if self.first_step is None:
            careful = torch.clamp(1 / g.abs().sum(1, keepdim=True), max=1.0)
        else:
            careful = self.first_step / _rms(g).clamp_min(torch.finfo(g.dtype).tiny)
        step = direction * self.learning_rate * torch.where(self.begun & descends, 1.0, careful)
        step = step * torch.clamp(self.max_step / _rms(step), max=1.0)
        self.begun = torch.ones_like(self.begun)
        self.previous = g, step
        return x + step.view_as(x)

    def _remember(self, g: Tensor, fresh: Tensor) -> None:
        """Keep the last step s and change of gradient y; a sample without a usable pair keeps 1/(y·s) = 0."""
        assert self.previous is not None
        before, s = self.previous
        y = g - before
        ys = _dot(y, s)
        usable = (ys > MIN_CURVATURE) & ~fresh
        self.pairs = deque(
            ((s_i, y_i, rho.masked_fill(fresh, 0.0)) for s_i, y_i, rho in self.pairs),
            maxlen=self.pairs.maxlen,
        )
        zero = torch.zeros_like(ys)
        self.pairs.append((s, y, torch.where(usable, 1 / ys, zero)))
        self.scale = torch.where(usable, ys / _dot(y, y), self.scale)
        self.scale = torch.where(fresh, torch.ones_like(self.scale), self.scale)

    def _direction(self, g: Tensor) -> Tensor:
        """−H·g by the two-loop recursion; a pair with ρ = 0 takes no part."""
        q, alphas = -g, []
        for s, y, rho in reversed(self.pairs):
            alpha = rho * _dot(s, q)
            alphas.append(alpha)
            q = torch.addcmul(q, alpha, y, value=-1)
        q = q * self.scale
        for (s, y, rho), alpha in zip(self.pairs, reversed(alphas), strict=True):
            q = torch.addcmul(q, alpha - rho * _dot(y, q), s)
        return q


def _rms(a: Tensor) -> Tensor:
    """Root mean squares of rows, (B, 1)."""
    return a.square().mean(1, keepdim=True).sqrt()


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of rows, (B, 1)."""
    return (a * b).sum(1, keepdim=True)
