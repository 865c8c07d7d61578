"""L-BFGS for a batch of independent samples: every sample has its own history, curvature check and step.

For each sample it is `torch.optim.LBFGS` with a fixed step (Nocedal and Wright, *Numerical Optimization*, algorithms
7.4 and 7.5): the first step is scaled by 1/‖g‖₁, a pair of too little curvature (y·s ≤ 1e-10) is left out. Unlike
torch's, a direction that does not descend is replaced by steepest descent, and the initial Hessian may be learned
(`curvature.py`).

The two-loop recursion runs on inner products (after Chen, Wang and Zhou, *Large-scale L-BFGS using MapReduce*, 2014):
the history is read in a few products of matrices, not in 4m products of vectors. All state changes in place and
nothing waits for the device, so that a step can be replayed as a CUDA graph.
"""

import math

import torch
from torch import Tensor

from nst_kernel.optimisers.curvature import Curvature
from nst_kernel.optimisers.vectors import change_of, combined, dot, moved, products, put, rms

MIN_CURVATURE = 1e-10
"""Least y·s of a pair that is kept, as in `torch.optim.LBFGS`."""


class LBFGS:
    """L-BFGS for a batch of independent samples.

    Attributes:
        state: tensors by name, one row per sample, empty before the first step: see `_initial_state`, and `Curvature`
            for those of a learned initial Hessian.
    """

    def __init__(
        self,
        *,
        history: int,
        learning_rate: Tensor,
        first_step: float | None = None,
        max_step: float = math.inf,
        learns_curvature: bool = False,
    ) -> None:
        """Set the options of all samples.

        Args:
            history: pairs of a step and a change of gradient that are kept, m; each takes two copies of x.
            learning_rate: factor of every step, (B,).
            first_step: root mean square of the first step, in units of x; None: torch's length, 1/‖g‖₁. With torch's, a
                picture of n values moves by 1/n each, and in bf16 the change of gradient, which should show the
                curvature, is then rounding noise.
            max_step: root mean square to which longer steps are shortened: without a line search, a poor estimate of
                the curvature would make a step so long that recovering from it takes dozens of iterations.
            learns_curvature: whether the initial Hessian is learned (`Curvature`); x are then pictures (B, C, H, W).
        """
        self.history, self.first_step, self.max_step = history, first_step, max_step
        self.learning_rate = learning_rate.unsqueeze(1)
        self.learns_curvature = learns_curvature
        self.curvature: Curvature | None = None
        self.state: dict[str, Tensor] = {}

    def step(self, x: Tensor, gradient: Tensor, restart: Tensor) -> Tensor:
        """Return the pixels after one step.

        Args:
            x: values (B, ...).
            gradient: of each sample's own loss, of the shape of x.
            restart: (B,), true for samples that forget their history before the step.
        """
        g = gradient.flatten(1)
        if self.learns_curvature and not self.curvature:
            self.curvature = Curvature(x.shape[1:], x)
        if not self.state:
            self.state = _initial_state(g, self.history)
            if self.curvature:
                self.state |= self.curvature.initial_state(len(g), g)
        state = self.state
        self._forget(restart.unsqueeze(1))
        y = change_of(g, self._unit(g), state["gradient"])
        g = state["gradient"]  # in its units
        # The direction, or steepest descent if it does not descend.
        of_steps = self._remember(y, g)
        direction = self._direction(g, of_steps)
        descends = dot(direction, g) < 0  # false of a NaN too: products of huge gradients overflow
        # Its length: a short one for a first step and for steepest descent, and never above `max_step`.
        factor = self.learning_rate * torch.where(state["begun"] & descends, 1.0, self._first_length(g))
        state["begun"].fill_(True)
        return moved(x.flatten(1), direction, g, descends, (factor, self.max_step), state["step"]).view_as(x)

    def select(self, samples: Tensor) -> None:
        """Keep the state of these samples alone, given by index (n,)."""
        self.learning_rate = self.learning_rate[samples]
        for name in self.state:  # one by one: the history is most of what there is
            self.state[name] = self.state[name][samples]

    def _forget(self, fresh: Tensor) -> None:
        """Reset samples where `fresh` (B, 1) is true, as if they had made no step."""
        self.state["known"].masked_fill_(fresh, 0.0)
        self.state["scale"].masked_fill_(fresh, 1.0)
        self.state["begun"].logical_and_(~fresh)
        if self.curvature:
            self.curvature.forget(self.state, fresh)

    def _unit(self, g: Tensor) -> Tensor:
        """Return the factors (B, 1) of the gradients g (B, D) with which a sample's first one has root mean square 1.

        Products of extreme gradients would overflow. With torch's first step, which depends on the unit, it is 1.
        """
        state = self.state
        if self.first_step is None:
            return state["unit"]
        unit = 1 / rms(g).clamp_min(torch.finfo(g.dtype).tiny)
        return state["unit"].copy_(torch.where(state["begun"], state["unit"], unit))

    def _first_length(self, g: Tensor) -> Tensor:
        """Return the factor (B, 1) that scales a step along the gradient g (B, D) to the length of a first step."""
        if self.first_step is None:
            return torch.clamp(1 / g.abs().sum(1, keepdim=True), max=1.0)
        return self.first_step / rms(g).clamp_min(torch.finfo(g.dtype).tiny)

    def _remember(self, y: Tensor, g: Tensor) -> Tensor:
        """Store the last step s and the gradient change y that it caused, for samples whose y·s is large enough.

        Args:
            y: changes of gradient (B, D).
            g: gradients (B, D).

        Returns:
            s·g of all pairs (B, m), by slot.
        """
        state, m = self.state, self.history
        s = state["step"]
        ys, yy = dot(y, s), dot(y, y)
        usable = (ys > MIN_CURVATURE) & state["begun"]
        # The pair takes the place of the oldest one.
        slot = state["next"]  # (B, 1)
        S, Y, sy = state["steps"], state["changes"], state["sy"]
        put(s, S, slot, usable)
        put(y, Y, slot, usable)
        # Inner products of its y with all s; of those with a y that is older than s nothing is made.
        rows, at = torch.arange(len(g), device=g.device), slot[:, 0]
        of_s = products(S, y, g)
        sy[rows, :, at] = torch.where(usable, of_s[:, :, 0], sy[rows, :, at])
        known = state["known"]
        known.scatter_(1, slot, torch.where(usable, 1 / ys, known.gather(1, slot)))
        # The initial Hessian: a multiple of the identity, or learned.
        state["scale"].copy_(torch.where(usable, ys / yy, state["scale"]))
        if self.curvature:
            self.curvature.learn(state, s, y, ys, usable)
        slot.copy_((slot + usable) % m)
        return of_s[:, :, 1]

    def _direction(self, g: Tensor, sg: Tensor) -> Tensor:
        """Return −H·g (B, D) by the two-loop recursion (Nocedal and Wright, algorithm 7.4).

        Its vectors q and r are sums of g, the s and the y, and only their m coefficients are computed one by one.

        Args:
            g: gradients (B, D).
            sg: s·g of all pairs (B, m), by slot.
        """
        state, m = self.state, self.history
        # Pairs by age, newest first.
        age = torch.arange(1, m + 1, device=g.device)
        order = (state["next"] - age) % m  # (B, m)
        sy = state["sy"].gather(1, order.unsqueeze(2).expand(-1, -1, m))
        sy = sy.gather(2, order.unsqueeze(1).expand(-1, m, -1))
        sg, rho = sg.gather(1, order), state["known"].gather(1, order)
        # Both loops are triangular systems of equations, since each pair needs those alone that were looked at before.
        newer = sy.tril(-1)  # of each s with every y that is newer
        # First loop, newest to oldest: α_j = ρ_j s_j·q with q = −g − Σ α_i y_i over newer i.
        alpha = _solved(rho.unsqueeze(2) * newer, -rho * sg, upper=False)
        q = combined(_by_slot(-alpha, order), state["changes"], g, -1)
        # r = H₀·q.
        r = self.curvature.apply(state, q) if self.curvature else q.mul_(state["scale"])
        yr = products(state["changes"], r)[:, :, 0].gather(1, order)
        # Second loop, oldest to newest: β_j = ρ_j y_j·r with r = H₀·q + Σ (α_i − β_i) s_i over older i.
        steps = _solved(rho.unsqueeze(2) * newer.mT, alpha - rho * yr, upper=True)
        return combined(_by_slot(steps, order), state["steps"], r, 1)


def _solved(A: Tensor, b: Tensor, *, upper: bool) -> Tensor:
    """Return x of (I + A) x = b (B, m), where A (B, m, m) is zero on and on one side of its diagonal."""
    x: Tensor = torch.linalg.solve_triangular(A, b.unsqueeze(2), upper=upper, unitriangular=True)
    return x.squeeze(2)


def _by_slot(coefficients: Tensor, order: Tensor) -> Tensor:
    """Return coefficients (B, m) by slot, from those by age and the slot of the pair of each age (B, m)."""
    return torch.zeros_like(coefficients).scatter(1, order, coefficients)


def _initial_state(g: Tensor, m: int) -> dict[str, Tensor]:
    """Return the L-BFGS state before any step, for gradients shaped like g (B, D) and a history of m pairs.

    The names are those of tensors in files of saved states.
    """
    B, D = g.shape
    return {
        "steps": g.new_zeros(B, m, D),  # s
        "changes": g.new_zeros(B, m, D),  # y
        "sy": g.new_zeros(B, m, m),  # inner products of each s with every y that is not older
        "known": g.new_zeros(B, m),  # ρ = 1/(y·s) by slot, 0 where there is no pair
        "next": torch.zeros(B, 1, dtype=torch.int64, device=g.device),  # slot of the oldest pair
        "unit": g.new_ones(B, 1),  # factor of gradients
        "scale": g.new_ones(B, 1),  # γ: the initial Hessian is γ·I
        "begun": torch.zeros(B, 1, dtype=torch.bool, device=g.device),  # whether there was a step
        "gradient": torch.zeros_like(g),  # at that step
        "step": torch.zeros_like(g),
    }
