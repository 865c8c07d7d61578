"""Pacing of the host: it runs ahead of the device just far enough that the device never waits."""

from collections.abc import Callable

import torch

STRIDE = 4
"""Steps between two marks; the host is one to two strides ahead."""


def mark(*, blocking: bool = False) -> torch.cuda.Event:
    """Return an event after the work that the device was given so far; waiting for a `blocking` one takes no CPU."""
    event: Callable[..., torch.cuda.Event] = torch.cuda.Event
    made = event(blocking=blocking)
    made.record()
    return made


class Pace:
    """Keeps the host near the step that the device is at, so that clocks on the host tell when steps are done.

    Without it hundreds of evaluations are launched before the first is done, and none of them can be taken back.
    """

    def __init__(self, device: torch.device) -> None:
        self.on_gpu, self.steps = device.type == "cuda", 0
        self.mark: torch.cuda.Event | None = None

    def step(self) -> None:
        """Note that a step was launched; every few steps, wait until the device has done all but the last few."""
        self.steps += 1
        if not self.on_gpu or self.steps % STRIDE:
            return
        last, self.mark = self.mark, mark(blocking=True)
        if last is not None:
            last.synchronize()
