"""The result of a descent at one scale, whole or stopped on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Descent:
    """The result of a batch at one scale.

    Attributes:
        x: the best iterates (B, 3, H, W), or averages of iterates where `averaging` asks for them.
        losses: of x, (B, K); NaN for a sample that never had a finite one.
        curves: of every evaluation, (iterations, B, K); NaN after a sample's end.
        iterations: evaluations that each sample made, (B,).
        diverged: (B,), whether a loss or a gradient was not finite on the way.
    """

    x: Tensor
    losses: Tensor
    curves: Tensor
    iterations: Tensor
    diverged: Tensor

    @property
    def fell(self) -> Tensor:
        """(B,), whether the loss of x is below that of the first pixels."""
        best, first = self.losses[:, 0], self.curves[0, :, 0]
        return torch.isfinite(best) & ~(best >= first)  # than none, a NaN, too

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the tensors by attribute name, so that `Descent(**tensors)` rebuilds this result."""
        return dict(vars(self))

    def to(self, device: torch.device) -> "Descent":
        """Return a copy on a device."""
        return Descent(**{name: tensor.to(device) for name, tensor in self.to_tensors().items()})


class Stopped(Exception):
    """Raised by a descent that its observer has stopped.

    Attributes:
        tensors: all that `descend` needs to go on.
        iteration: evaluations made.
        so_far: the result of the batch so far.
        ended: (B,), whose result is final.
    """

    def __init__(self, tensors: Mapping[str, Tensor], iteration: int, so_far: Descent, ended: Tensor) -> None:
        self.tensors, self.iteration, self.so_far, self.ended = tensors, iteration, so_far, ended
        super().__init__(f"stopped at evaluation {iteration}")


def together(parts: Sequence[tuple[Tensor, Descent]]) -> Descent:
    """Combine the results of samples that left the batch at different times, in the order of the batch.

    Args:
        parts: places in the batch, and the descent of the samples there.
    """
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
