"""How far the host may run ahead of the device: far enough that the device never waits, and no farther."""

from collections.abc import Callable

import torch

STRIDE = 4
"""Steps between two marks; the host is one to two strides ahead."""


def mark(*, blocking: bool = False) -> torch.cuda.Event:
    """A point in what the device was given so far, that can be waited for; `blocking` waits without a busy CPU."""
    event: Callable[..., torch.cuda.Event] = torch.cuda.Event
    made = event(blocking=blocking)
    made.record()
    return made


class Pace:
    """Keeps whoever launches steps near the one that the device is at, so that a clock beside it means something.

    Without it hundreds of evaluations are launched before the first is done, and none of them can be taken back.
    """

    def __init__(self, device: torch.device) -> None:
        self.on_gpu, self.steps = device.type == "cuda", 0
        self.mark: torch.cuda.Event | None = None

    def step(self) -> None:
        """After a step was launched: at every few, wait until the device has done those before the last few."""
        self.steps += 1
        if not self.on_gpu or self.steps % STRIDE:
            return
        last, self.mark = self.mark, mark(blocking=True)
        if last is not None:
            last.synchronize()
