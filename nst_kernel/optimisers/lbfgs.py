"""L-BFGS for a batch of independent problems: every sample has its own history, curvature check and step.

Per sample it is `torch.optim.LBFGS` with a fixed step (Nocedal and Wright, algorithm 7.4 and 7.5): the first step is
scaled by 1/‖g‖₁, a pair of too little curvature (y·s ≤ 1e-10) is left out, and a direction that does not descend is
replaced by steepest descent. Its initial Hessian may be learned too (`curvature.py`).

The two-loop recursion runs on inner products (after Chen, Wang and Zhou, *Large-scale L-BFGS using MapReduce*, 2014):
the history is read in a few products of matrices, not in 4m products of vectors. All state changes in place and
nothing waits for the device, so that a step can be replayed as a CUDA graph.
"""

import math

import torch
from torch import Tensor

from nst_kernel.optimisers.curvature import Curvature

MIN_CURVATURE = 1e-10


class LBFGS:
    """Steps for x (B, ...), given the gradient of each sample's own loss."""

    def __init__(
        self,
        *,
        history: int,
        learning_rate: Tensor,
        first_step: float | None = None,
        max_step: float = math.inf,
        learns_curvature: bool = False,
    ) -> None:
        """`history` pairs are kept (two copies of x each); `learning_rate` is (B,).

        A first step has the root mean square `first_step`, or torch's length: by that, a picture of n values moves by
        1/n each, and in bf16 the change of gradient that should tell the curvature is then rounding noise.
        A step whose root mean square exceeds `max_step` is shortened to it: without a line search a poor estimate of
        the curvature would throw a sample far away, and cost it dozens of iterations to come back.
        With `learns_curvature`, x are pictures (B, C, H, W), and the initial Hessian is no multiple of the identity.
        """
        self.history, self.first_step, self.max_step = history, first_step, max_step
        self.learning_rate = learning_rate.unsqueeze(1)
        self.learns_curvature = learns_curvature
        self.curvature: Curvature | None = None
        self.state: dict[str, Tensor] = {}

    def step(self, x: Tensor, gradient: Tensor, restart: Tensor) -> Tensor:
        """The next x. Samples where `restart` (B,) is true forget their history first."""
        g, fresh = gradient.flatten(1), restart.unsqueeze(1)
        if self.learns_curvature and not self.curvature:
            self.curvature = Curvature(x.shape[1:], x)
        if not self.state:
            self.state = _nothing_known(g, self.history)
            if self.curvature:
                self.state |= self.curvature.nothing_known(len(g), g)
        state = self.state
        state["known"].masked_fill_(fresh, 0.0)
        state["scale"].masked_fill_(fresh, 1.0)
        state["begun"].logical_and_(~fresh)
        if self.curvature:
            self.curvature.forget(state, fresh)
        if self.first_step is not None:
            # Units in which a sample's first gradient is 1: products of extreme ones would overflow.
            unit = 1 / _rms(g).clamp_min(torch.finfo(g.dtype).tiny)
            g = g * state["unit"].copy_(torch.where(state["begun"], state["unit"], unit))
        products = self._remember(g)
        direction = self._direction(g, products)
        descends = _dot(direction, g) < 0  # false of a NaN too: products of huge gradients overflow
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
        """Keep the last step s and change of gradient y where they are usable; s·g of all pairs (B, m)."""
        state, m = self.state, self.history
        s, y = state["step"], g - state["gradient"]
        ys, yy = _dot(y, s), _dot(y, y)
        usable = (ys > MIN_CURVATURE) & state["begun"]
        slot = state["next"]  # (B, 1): where the oldest pair of each sample lies
        S, Y, sy = state["steps"], state["changes"], state["sy"]
        rows, at = torch.arange(len(g), device=g.device), slot[:, 0]
        S[rows, at] = torch.where(usable, s, S[rows, at])
        Y[rows, at] = torch.where(usable, y, Y[rows, at])
        of_s = torch.bmm(S, torch.stack([y, g], dim=1).mT)  # (B, m, 2)
        of_y = torch.bmm(Y, s.unsqueeze(2))[:, :, 0]
        sy[rows, :, at] = torch.where(usable, of_s[:, :, 0], sy[rows, :, at])
        sy[rows, at] = torch.where(usable, of_y, sy[rows, at])
        known = state["known"]  # ρ = 1/(y·s) by slot, 0 where there is no pair
        known.scatter_(1, slot, torch.where(usable, 1 / ys, known.gather(1, slot)))
        state["scale"].copy_(torch.where(usable, ys / yy, state["scale"]))
        if self.curvature:
            self.curvature.learn(state, s, y, ys, usable)
        slot.copy_((slot + usable) % m)
        return of_s[:, :, 1]

    def _direction(self, g: Tensor, sg: Tensor) -> Tensor:
        """−H·g, by the two-loop recursion on coefficients of s and y."""
        state, m = self.state, self.history
        age = torch.arange(1, m + 1, device=g.device)  # newest first
        order = (state["next"] - age) % m  # (B, m)
        sy = state["sy"].gather(1, order.unsqueeze(2).expand(-1, -1, m))
        sy = sy.gather(2, order.unsqueeze(1).expand(-1, m, -1))
        sg, rho = sg.gather(1, order), state["known"].gather(1, order)
        of_y, of_s = torch.zeros_like(rho), torch.zeros_like(rho)
        for j in range(m):  # α_j = ρ_j s_j·q with q = −g + Σ of_y·y
            of_y[:, j] = -rho[:, j] * ((sy[:, j] * of_y).sum(1) - sg[:, j])
        q = _combined(of_y, order, state["changes"]).sub_(g)
        r = self.curvature.apply(state, q) if self.curvature else q.mul_(state["scale"])
        yr = torch.bmm(state["changes"], r.unsqueeze(2))[:, :, 0].gather(1, order)
        for j in reversed(range(m)):  # β_j = ρ_j y_j·r with r = H₀·q + Σ of_s·s
            of_s[:, j] = -of_y[:, j] - rho[:, j] * (yr[:, j] + (sy[:, :, j] * of_s).sum(1))
        return r.add_(_combined(of_s, order, state["steps"]))


def _combined(coefficients: Tensor, order: Tensor, vectors: Tensor) -> Tensor:
    """Σ_j coefficients_j · vectors_order(j): of (B, m), (B, m) and (B, m, D)."""
    by_slot = torch.zeros_like(coefficients).scatter(1, order, coefficients)
    return torch.bmm(by_slot.unsqueeze(1), vectors).squeeze(1)


def _nothing_known(g: Tensor, m: int) -> dict[str, Tensor]:
    B, D = g.shape
    return {
        "steps": g.new_zeros(B, m, D),  # s
        "changes": g.new_zeros(B, m, D),  # y
        "sy": g.new_zeros(B, m, m),  # their inner products
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
