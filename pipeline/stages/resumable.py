"""Optimisation of a batch in segments: within its deadline, saved now and then, and interrupted on request."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from nst_kernel.result import StylizeResult
from nst_kernel.transfer import Interrupted, Observer
from pipeline.options import Interruptions
from pipeline.outputs import Steps
from pipeline.planning import Failure, PlannedRow, row_keys
from pipeline.process import Preemption, watchdog
from pipeline.recovery import saved_states
from pipeline.stages.frames import FrameWriter

if TYPE_CHECKING:
    from nst_kernel.transfer import State

log = logging.getLogger(__name__)

SAVING_SHARE = 0.05
"""Share of the time of a batch that saving its state may take, whatever `save_every` is."""

Why = Literal["overdue", "preempted", "save"]
"""Why a segment ends before the batch does."""

Transfer = Callable[[Observer, "State | None"], list[StylizeResult]]
"""Optimises a batch from a state, or from its start, until it ends or its observer stops it."""

OnIteration = Callable[[int, int, float | None], object]
"""Is called after each iteration with its number, the number of all, and the last known loss of the first row."""

OnFrame = Callable[[int, int, NDArray[np.float32]], object]
"""Is called with a row's place in the batch, the evaluations that it has made, and its picture after them."""


class ResumableOptimisation:
    """Optimises batches in segments, between which a state may be saved, as one set of `Interruptions` asks.

    Attributes:
        interruptions: deadlines, and when states are saved.
        output: folder below which states are saved; None: nothing is saved, and SIGTERM keeps its default effect.
        preemption: requests that this process end; None without an output.
        touched: URIs of states that were saved or resumed from since this was last emptied.
        frames: writes pictures on the way; None: nobody keeps them.
        may_be_saved: tells whether a state is worth looking for.
    """

    def __init__(
        self,
        interruptions: Interruptions | None = None,
        *,
        output: str | None = None,
        frames: FrameWriter | None = None,
        may_be_saved: Callable[[str], bool] = lambda uri: True,
    ) -> None:
        """Set the handler of SIGTERM, if states can be saved and this is the main thread.

        Args:
            interruptions: by default there are no deadlines.
            output: folder below which states are saved, and pictures on the way.
            frames: writes pictures on the way; None: they go below the output, if there is one.
            may_be_saved: tells of the URI of a state whether it is worth looking for, when a batch begins.
        """
        self.may_be_saved = may_be_saved
        self.interruptions, self.output = interruptions or Interruptions(), output
        self.preemption = Preemption(self.interruptions.worth_saving) if output else None
        self.touched: list[str] = []
        self.frames = frames
        if output and frames is None:
            self.frames = FrameWriter(lambda planned: Steps.of_run(output, planned.row.output, planned.row.id))

    def optimise(
        self, rows: Sequence[PlannedRow], transfer: Transfer, *, pictures: str, on_iteration: OnIteration | None
    ) -> list[StylizeResult | Failure]:
        """Optimise a batch to its end or its deadline, from a saved state if there is one.

        If this process has to end, it saves the state and ends.

        Args:
            rows: of the batch.
            transfer: the optimisation itself.
            pictures: a digest of the pixels of the rows, which may have changed since a state was saved.
            on_iteration: is called after each iteration.

        Returns:
            The outcome of each row: over the deadline, a `Failure` for a row that has not reached its end.
        """
        uri = saved_states.uri_of(self.output, row_keys(rows)) if self.output else None
        loaded = state = self._load(uri, pictures) if uri and self.may_be_saved(uri) else None
        clock = _BatchClock(len(rows), self.interruptions.row_timeout, float(state.notes["seconds"]) if state else 0.0)
        pause = self.interruptions.save_every
        while True:
            save_at = monotonic() + pause if uri else None
            observer = _SegmentObserver(on_iteration, clock.deadline, save_at, self.preemption, self._taking(rows))
            try:
                return self._ended(rows, list(transfer(observer, state)))
            except Interrupted as interruption:
                state, iteration, finished = interruption.state, interruption.iteration, interruption.finished
            except Exception as error:
                # Of another version or request, or with tensors that do not fit. If the state is not to blame, work
                # from the start fails again, and then says why.
                if state is None or state is not loaded:
                    raise
                log.warning("%s is of no use, work begins from its start: %s: %s", uri, type(error).__name__, error)
                saved_states.delete([uri] if uri else [])
                state, clock = None, _BatchClock(len(rows), self.interruptions.row_timeout)
                continue
            if observer.why == "overdue":
                return self._ended(rows, clock.outcomes(finished, iteration, observer.total))
            assert uri is not None
            self._ended([], [])  # whoever resumes finds the pictures on the way so far
            pause = self._save(uri, state.noting(pictures=pictures, seconds=clock.seconds))
            if self.preemption and (observer.why == "preempted" or self.preemption.wanted):
                self.preemption.leave()

    def _taking(self, rows: Sequence[PlannedRow]) -> OnFrame | None:
        """Return what takes the pictures on the way of a batch; None where nobody keeps them."""
        if self.frames is None:
            return None
        put = self.frames.put
        return lambda place, evaluation, picture: put(rows[place], evaluation, picture)

    def _ended(
        self, rows: Sequence[PlannedRow], outcomes: Sequence[StylizeResult | Failure]
    ) -> list[StylizeResult | Failure]:
        """Return the outcomes of rows once all of their pictures on the way are written."""
        if self.frames is not None:
            self.frames.finish(rows, outcomes)
        return list(outcomes)

    def _load(self, uri: str, pictures: str) -> "State | None":
        """Return the saved state of a batch; None if there is none, or one of other pixels, which is deleted."""
        state = saved_states.load(uri)
        if state is None:
            return None
        if state.notes.get("pictures") != pictures or not isinstance(state.notes.get("seconds"), float):
            saved_states.delete([uri])
            return None
        self.touched.append(uri)
        return state

    def _save(self, uri: str, state: "State") -> float:
        """Save a state, and return the seconds until the next save: the longer, the more time saving takes."""
        began = monotonic()
        if saved_states.save(uri, state):
            self.touched.append(uri)
            if self.preemption:
                self.preemption.saved()
        return max(self.interruptions.save_every, (monotonic() - began) / SAVING_SHARE)


@dataclass(frozen=True)
class _BatchClock:
    """How long a batch has been optimised, and until when it may be.

    Rows of a batch share a device, so that together they have the sum of their time.

    Attributes:
        rows: number of rows.
        row_timeout: seconds for each row; None: no deadline.
        spent: seconds that the batch was optimised before its state was saved by an earlier process.
        began: when this process took it up, on the monotonic clock.
    """

    rows: int
    row_timeout: float | None
    spent: float = 0.0
    began: float = field(default_factory=lambda: monotonic())

    @property
    def seconds(self) -> float:
        """Seconds that the batch has been optimised, by all processes."""
        return self.spent + monotonic() - self.began

    @property
    def deadline(self) -> float | None:
        """Until when the batch may be optimised, on the monotonic clock; None: for ever."""
        return None if self.row_timeout is None else self.began + self.row_timeout * self.rows - self.spent

    def outcomes(
        self, finished: Mapping[int, StylizeResult], iteration: int, total: int
    ) -> list[StylizeResult | Failure]:
        """Return the outcome of each row at the deadline.

        Args:
            finished: results of the rows that have reached their end, by place.
            iteration: that the others have reached.
            total: iterations of the batch.
        """
        assert self.row_timeout is not None
        took = f"{self.seconds:.1f} s"
        if self.rows > 1:
            took += f" of {self.row_timeout * self.rows:g} s for {self.rows} rows"
        failure = Failure(
            "DeadlineExceeded",
            f"optimising took longer than {self.row_timeout:g} s a row: {took}; "
            f"reached iteration {iteration} of {total}",
        )
        return [finished.get(place, failure) for place in range(self.rows)]


class _SegmentObserver(Observer):
    """Ends a segment: at the deadline, when this process shall end, or when the state is to be saved.

    Attributes:
        why: why the segment ends; None: it does not yet.
        total: iterations of the whole batch.
    """

    def __init__(
        self,
        on_iteration: OnIteration | None,
        deadline: float | None,
        save_at: float | None,
        preemption: Preemption | None,
        on_frame: OnFrame | None = None,
    ) -> None:
        """Observe a segment that begins now.

        Args:
            on_iteration: is called after each iteration.
            deadline: of the batch, on the monotonic clock; None: it has none.
            save_at: when the state is to be saved, on the monotonic clock; None: never.
            preemption: requests that this process end; None: they are not looked at.
            on_frame: takes pictures on the way; None: nobody wants any.
        """
        self.on_iteration, self.preemption = on_iteration, preemption
        self.on_frame, self.wants_frames = on_frame, on_frame is not None
        self.wants_losses, self._loss = on_iteration is not None, None
        self.deadline, self.save_at = deadline, save_at
        self.why: Why | None = None
        self.total = 0

    _loss: float | None

    def loss(self, sample: int, total: float) -> None:
        """Keep the loss of the first row for `on_iteration`."""
        if sample == 0:
            self._loss = total

    def iteration(self, done: int, total: int) -> None:
        """Report to the watchdog, call `on_iteration`, and decide whether the segment ends after this iteration."""
        self.total = total
        watchdog.alive()
        if self.on_iteration:
            self.on_iteration(done, total, self._loss)
        now = monotonic()
        if self.deadline is not None and now >= self.deadline:
            self.why = "overdue"
        elif self.preemption and self.preemption.wanted:
            self.why = "preempted"
        elif self.save_at is not None and now >= self.save_at:
            self.why = "save"

    def frame(self, sample: int, evaluation: int, picture: NDArray[np.float32]) -> None:
        """Pass a picture on the way on."""
        if self.on_frame:
            self.on_frame(sample, evaluation, picture)

    @property
    def stop(self) -> bool:
        """Whether the segment ends."""
        return self.why is not None
