"""Observers: objects that a transfer calls after each iteration, and that may stop it; what it then raises."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from nst_kernel.result import StylizeResult

if TYPE_CHECKING:
    from torch import Tensor

    from nst_kernel.transfer.state import State


class Observer:
    """An observer of a transfer. The base class does nothing: subclasses override what they need.

    On a GPU the host runs at most eight iterations ahead of the device, and the calls come as early.

    Attributes:
        picture_every: iterations between two calls of `picture`; 0: it is never called, and costs nothing.
    """

    picture_every: int = 0

    @property
    def stop(self) -> bool:
        """Whether the transfer shall be interrupted; looked at after each iteration. Once true, it stays true."""
        return False

    @classmethod
    def of(cls, function: Callable[[int, int], object]) -> "Observer":
        """Return an observer that calls a function with (iterations done, iterations in all)."""
        return _Calling(function)

    def iteration(self, done: int, total: int) -> None:
        """Take note that `done` of `total` iterations, over all scales, have been made."""

    def picture(self, done: int, samples: Sequence[int], x: "Tensor") -> None:
        """Take note of what would be the results now: best iterates, or averages with `averaging`.

        The tensor changes with the next iteration: copy what is kept.

        Args:
            done: iterations made, over all scales.
            samples: places in the batch of the samples that are still being optimised.
            x: their pictures (len(samples), 3, H, W) at the size of the current scale, on the device.
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

    def __init__(
        self, observer: Observer, *, before: int, total: int, finish: Callable[[Sequence[int], "Tensor"], "Tensor"]
    ) -> None:
        """Observe a scale that begins after `before` of `total` iterations.

        Args:
            observer: of all scales.
            before: iterations of the scales before.
            total: iterations of all scales.
            finish: returns the pictures of some samples, given by place, with the colours that results have.
        """
        self.observer, self.before, self.total, self.finish = observer, before, total, finish
        self.picture_every, self.done = observer.picture_every, before

    @property
    def stop(self) -> bool:
        """Whether to stop, which is too late after the last iteration."""
        return self.observer.stop and self.done < self.total

    def iteration(self, done: int, total: int) -> None:
        """Take note of an iteration of this scale."""
        self.done = self.before + done
        self.observer.iteration(self.done, self.total)

    def picture(self, done: int, samples: Sequence[int], x: "Tensor") -> None:
        """Take note of what would be the results of this scale now."""
        self.observer.picture(self.before + done, samples, self.finish(samples, x))
