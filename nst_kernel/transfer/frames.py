"""Pictures on the way: copied to the host every so many evaluations, while the device goes on."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nst_kernel.transfer.iterates import Iterates
from nst_kernel.transfer.pacing import mark

Take = Callable[[int, int, Tensor], None]
"""Takes a sample's place in the batch, the evaluations that it has made, and its picture (H, W, 3) on the host."""


@dataclass(frozen=True)
class _Copy:
    """Pictures on their way to the host.

    Attributes:
        k: evaluations of the scale after which they were taken.
        samples: places in the batch.
        made: evaluations of the scale that each had made: fewer than k if it had ended before.
        pictures: (n, H, W, 3) in [0, 1].
        arrived: when both are there; None: they are.
    """

    k: int
    samples: Sequence[int]
    made: Tensor
    pictures: Tensor
    arrived: torch.cuda.Event | None


class Frames:
    """The pictures on the way of one scale. Which there are depends on no batch-mate."""

    def __init__(
        self,
        every: Sequence[int],
        before: Sequence[int],
        finish: Callable[[Sequence[int], Tensor], Tensor],
        take: Take,
    ) -> None:
        """Begin a scale.

        Args:
            every: by sample, evaluations between two pictures; 0: it has none.
            before: by sample, evaluations that it has made at the scales before.
            finish: returns pictures of some samples, given by place, with the colours that results have.
            take: is given each picture, in order.
        """
        self.every, self.before, self.finish, self.take = every, before, finish, take
        self.sent: deque[_Copy] = deque()

    @torch.no_grad()
    def after(self, k: int, members: Sequence[int], iterates: Iterates) -> None:
        """Copy the pictures that are due after evaluation k of the scale, and pass on those that have arrived.

        Args:
            k: the evaluation.
            members: places in the batch of the samples that the iterates are of.
            iterates: of the scale.
        """
        due = [n for n, b in enumerate(members) if self.every[b] and (self.before[b] + k) % self.every[b] == 0]
        if due:
            samples, now = [members[n] for n in due], iterates.pictures()
            # By slices: a list of places would have to reach the device first.
            x = self.finish(samples, torch.cat([now[n : n + 1] for n in due])).clamp(0, 1)
            pictures = _on_host(x.float().permute(0, 2, 3, 1))
            made = _on_host(torch.cat([iterates.made[n : n + 1] for n in due]))
            self.sent.append(_Copy(k, samples, made, pictures, mark() if x.is_cuda else None))
        self.pass_on(wait=False)

    def pass_on(self, *, wait: bool = True) -> None:
        """Pass on the pictures that have arrived, or all of them."""
        while self.sent and (wait or _has_arrived(self.sent[0])):
            copy = self.sent.popleft()
            if copy.arrived:
                copy.arrived.synchronize()
            for b, made, picture in zip(copy.samples, copy.made.tolist(), copy.pictures, strict=True):
                if made == copy.k:  # or it has ended, and this is its last picture again
                    self.take(b, self.before[b] + made, picture)


def _has_arrived(copy: _Copy) -> bool:
    """Return whether pictures are on the host."""
    event: Any = copy.arrived
    return event is None or bool(event.query())


def _on_host(x: Tensor) -> Tensor:
    """Return a copy of a tensor on the host; of one on a GPU, memory that it is being copied to."""
    if not x.is_cuda:
        return x.clone(memory_format=torch.contiguous_format)
    there = torch.empty(x.shape, dtype=x.dtype, pin_memory=True)
    return there.copy_(x, non_blocking=True)
