"""Observers: objects that a transfer calls after each iteration, and that may stop it; what it then raises."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nst_kernel.result import StylizeResult

if TYPE_CHECKING:
    from nst_kernel.transfer.frames import Frames
    from nst_kernel.transfer.state import State


class Observer:
    """An observer of a transfer. The base class does nothing: subclasses override what they need.

    On a GPU the host runs at most eight iterations ahead of the device, and the calls come as early.

    Attributes:
        wants_frames: whether `frame` is called for the samples whose `save_every` is not 0. Where it is False, or no
            sample has pictures on the way, they cost nothing.
        wants_losses: whether `loss` is called. Where it is False, losses on the way cost nothing.
        frames: takes pictures on the way; None: nobody wants them. A transfer sets it.
    """

    wants_frames: bool = False
    wants_losses: bool = False
    frames: "Frames | None" = None

    @property
    def stop(self) -> bool:
        """Whether the transfer shall be interrupted; looked at after each iteration. Once true, it stays true."""
        return False

    @classmethod
    def of(cls, function: "Callable[[int, int], object] | Observer") -> "Observer":
        """Return an observer that calls a function with (iterations done, iterations in all); or what is one."""
        return function if isinstance(function, Observer) else _Calling(function)

    def iteration(self, done: int, total: int) -> None:
        """Take note that `done` of `total` iterations, over all scales, have been made."""

    def loss(self, sample: int, total: float) -> None:
        """Take the total loss that a sample had at this evaluation; on a GPU at one of the last, now and then.

        It is called before `iteration`.

        Args:
            sample: place in the batch.
            total: loss; NaN if the sample has ended.
        """

    def frame(self, sample: int, evaluation: int, picture: NDArray[np.float32]) -> None:
        """Take what would be the result of a sample now: its best iterate so far, or its average with `averaging`.

        It is called in order, on a GPU some evaluations late, and for every one before the transfer ends or is
        interrupted.

        Args:
            sample: place in the batch.
            evaluation: how many the sample has made, over all scales: its curve ends with that of the picture.
            picture: (H, W, 3) in [0, 1], or (H, W, 4), as `StylizeResult.image`, at the size of its scale.
        """


class Interrupted(Exception):
    """Raised by a transfer that its observer has stopped.

    Attributes:
        state: to go on from.
        iteration: loss evaluations made, of those of all scales.
        finished: by place in the batch, samples that had come to their end already.
    """

    def __init__(self, state: "State", *, iteration: int, finished: Mapping[int, StylizeResult]) -> None:
        self.state, self.iteration, self.finished = state, iteration, finished
        super().__init__(f"stopped at iteration {iteration}")


class _Calling(Observer):
    """An observer that calls a function after each iteration."""

    def __init__(self, function: Callable[[int, int], object]) -> None:
        self.function = function

    def iteration(self, done: int, total: int) -> None:
        self.function(done, total)


class OfScale(Observer):
    """Tells an observer of all scales what happens at one of them."""

    def __init__(self, observer: Observer, *, before: int, total: int, frames: "Frames | None") -> None:
        """Observe a scale that begins after `before` of `total` iterations.

        Args:
            observer: of all scales.
            before: iterations of the scales before.
            total: iterations of all scales.
            frames: takes pictures on the way; None: nobody wants them.
        """
        self.observer, self.before, self.total, self.frames = observer, before, total, frames
        self.done, self.wants_losses = before, observer.wants_losses

    @property
    def stop(self) -> bool:
        """Whether to stop, which is too late after the last iteration."""
        return self.observer.stop and self.done < self.total

    def iteration(self, done: int, total: int) -> None:
        """Take note of an iteration of this scale."""
        self.done = self.before + done
        self.observer.iteration(self.done, self.total)

    def loss(self, sample: int, total: float) -> None:
        """Pass a loss on."""
        self.observer.loss(sample, total)
