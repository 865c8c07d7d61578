"""L-BFGS for a batch of independent problems: every sample has its own history, curvature check and step.

Per sample it is `torch.optim.LBFGS` with a fixed step (Nocedal and Wright, algorithm 7.4 and 7.5): the first step is
scaled by 1/‖g‖₁, a pair of too little curvature (y·s ≤ 1e-10) is left out, and a direction that does not descend is
replaced by steepest descent.

The two-loop recursion runs on inner products (Chen, Wang and Zhou, *Large-scale L-BFGS using MapReduce*, 2014): the
history is read twice in a step, once for its products with what is new and once for the direction, where the textbook
reads it four times. All state changes in place and nothing waits for the device, so that a step can be replayed as a
CUDA graph.
"""

import math

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
        self.history, self.first_step, self.max_step = history, first_step, max_step
        self.learning_rate = learning_rate.unsqueeze(1)
        self.state: dict[str, Tensor] = {}

    def step(self, x: Tensor, gradient: Tensor, restart: Tensor) -> Tensor:
        """The next x. Samples where `restart` (B,) is true forget their history first."""
        g, fresh = gradient.flatten(1), restart.unsqueeze(1)
        if not self.state:
            self.state = _nothing_known(g, self.history)
        state = self.state
        state["known"].masked_fill_(fresh, 0.0)
        state["scale"].masked_fill_(fresh, 1.0)
        state["begun"].logical_and_(~fresh)
        if self.first_step is not None:
            # Units in which a sample's first gradient is 1: products of extreme ones would overflow.
            unit = 1 / _rms(g).clamp_min(torch.finfo(g.dtype).tiny)
            g = g * state["unit"].copy_(torch.where(state["begun"], state["unit"], unit))
        products = self._remember(g)
        direction, slope = self._direction(g, products)
        descends = slope < 0  # false of a NaN too: products of huge gradients overflow
        direction = torch.where(descends, direction, -g)
        if self.first_step is None:
            careful = torch.clamp(1 / g.abs().sum(1, keepdim=True), max=1.0)
        else:
            careful = self.first_step / _rms(g).clamp_min(torch.finfo(g.dtype).tiny)
        step = direction.mul_(self.learning_rate * torch.where(state["begun"] & descends, 1.0, careful))
        step.mul_(torch.clamp(self.max_step / _rms(step), max=1.0))
        state["begun"].fill_(True)
        state["gradient"].copy_(g)
        state["step"].copy_(step)
        return x + step.view_as(x)

    def select(self, samples: Tensor) -> None:
        """Go on with these samples (indices) alone."""
        self.learning_rate = self.learning_rate[samples]
        for name in self.state:  # one by one: the history is most of what there is
            self.state[name] = self.state[name][samples]

    def _remember(self, g: Tensor) -> Tensor:
        """Keep the last step s and change of gradient y where they are usable; products (B, 2m) of all pairs with g."""
        state, m = self.state, self.history
        s, y = state["step"], g - state["gradient"]
        ys, yy = _dot(y, s), _dot(y, y)
        usable = (ys > MIN_CURVATURE) & state["begun"]
        slot = state["next"]  # (B, 1): where the oldest pair of each sample lies
        pairs, inner = state["pairs"], state["inner"]
        rows = torch.arange(len(g), device=g.device)
        for vector, at in ((s, slot[:, 0]), (y, slot[:, 0] + m)):
            pairs[rows, at] = torch.where(usable, vector, pairs[rows, at])
        products = torch.bmm(pairs, torch.stack([s, y, g], dim=1).mT)  # (B, 2m, 3)
        for column, at in ((0, slot[:, 0]), (1, slot[:, 0] + m)):
            kept = torch.where(usable, products[:, :, column], inner[rows, at])
            inner[rows, at] = kept
            inner[rows, :, at] = kept
        known = state["known"]  # ρ = 1/(y·s) by slot, 0 where there is no pair
        known.scatter_(1, slot, torch.where(usable, 1 / ys, known.gather(1, slot)))
        state["scale"].copy_(torch.where(usable, ys / yy, state["scale"]))
        slot.copy_((slot + usable) % m)
        return products[:, :, 2]

    def _direction(self, g: Tensor, products: Tensor) -> tuple[Tensor, Tensor]:
        """−H·g and its slope along g (B, 1), by the two-loop recursion on coefficients of s, y and g."""
        state, m = self.state, self.history
        age = torch.arange(1, m + 1, device=g.device)  # newest first
        order = (state["next"] - age) % m  # (B, m)
        both = torch.cat([order, order + m], dim=1)
        inner = state["inner"].gather(1, both.unsqueeze(2).expand(-1, -1, 2 * m))
        inner = inner.gather(2, both.unsqueeze(1).expand(-1, 2 * m, -1))
        sy, yy = inner[:, :m, m:], inner[:, m:, m:]
        with_g = products.gather(1, both)
        sg, yg = with_g[:, :m], with_g[:, m:]
        rho, scale = state["known"].gather(1, order), state["scale"]
        of_y, of_s = torch.zeros_like(rho), torch.zeros_like(rho)
        for j in range(m):  # α_j = ρ_j s_j·q with q = −g + Σ of_y·y
            alpha = rho[:, j] * ((sy[:, j] * of_y).sum(1) - sg[:, j])
            of_y[:, j] = -alpha
        alphas = -of_y
        for j in reversed(range(m)):  # β_j = ρ_j y_j·r with r = γ·q + Σ of_s·s
            with_q = (yy[:, j] * of_y).sum(1) - yg[:, j]
            beta = rho[:, j] * (scale[:, 0] * with_q + (sy[:, :, j] * of_s).sum(1))
            of_s[:, j] = alphas[:, j] - beta
        coefficients = torch.cat([of_s, scale * of_y], dim=1)
        by_slot = torch.zeros_like(coefficients).scatter(1, both, coefficients)
        direction = torch.bmm(by_slot.unsqueeze(1), state["pairs"]).squeeze(1)
        direction.addcmul_(scale, g, value=-1)
        return direction, _dot(direction, g)


def _nothing_known(g: Tensor, m: int) -> dict[str, Tensor]:
    B, D = g.shape
    return {
        "pairs": g.new_zeros(B, 2 * m, D),  # s in the first m slots, y in the others
        "inner": g.new_zeros(B, 2 * m, 2 * m),  # their inner products
        "known": g.new_zeros(B, m),
        "next": torch.zeros(B, 1, dtype=torch.int64, device=g.device),
        "unit": g.new_ones(B, 1),
        "scale": g.new_ones(B, 1),  # γ: the initial Hessian's diagonal
        "begun": torch.zeros(B, 1, dtype=torch.bool, device=g.device),
        "gradient": torch.zeros_like(g),
        "step": torch.zeros_like(g),
    }


def _rms(a: Tensor) -> Tensor:
    """Root mean squares of rows, (B, 1), safe from overflow."""
    norm: Tensor = torch.linalg.vector_norm(a, dim=1, keepdim=True, dtype=torch.float64)
    return norm.div(math.sqrt(a.shape[1])).to(a.dtype)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of rows, (B, 1)."""
    return (a * b).sum(1, keepdim=True)
