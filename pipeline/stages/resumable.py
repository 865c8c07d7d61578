"""A batch optimised in one or more stints: up to its deadline, saved now and then, and left off when told to."""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Literal

from nst_kernel.result import StylizeResult
from nst_kernel.transfer import Interrupted, Observer, State, StateError
from pipeline.options import Interruptions
from pipeline.planning import Failure, PlannedRow, row_keys
from pipeline.process import Preemption, watchdog
from pipeline.recovery import saved_states

SAVING_SHARE = 0.05
"""Of the time of a batch, that saving its state may take at most, whatever `save_every` says."""

Why = Literal["overdue", "preempted", "save"]
Transfer = Callable[[Observer, State | None], list[StylizeResult]]
"""Optimises a batch from a state, or from its start, under the eyes of a watch."""


class ResumableOptimisation:
    """Optimises batches under one set of `Interruptions`.

    Attributes:
        touched: URIs of states that were written or found since this was last emptied.
    """

    def __init__(self, interruptions: Interruptions | None = None, *, output: str | None = None) -> None:
        """States go below `output`; without one nothing is saved, and SIGTERM is not looked at."""
        self.interruptions, self.output = interruptions or Interruptions(), output
        self.preemption = Preemption(self.interruptions.worth_saving) if output else None
        self.touched: list[str] = []

    def optimise(
        self,
        rows: Sequence[PlannedRow],
        transfer: Transfer,
        *,
        pictures: str,
        tell: Callable[[int, int], object] | None,
    ) -> list[StylizeResult | Failure]:
        """What became of each row. Over its deadline, a row that has not come to its end is a `Failure`.

        Args:
            rows: of the batch.
            transfer: the work itself.
            pictures: a digest of the pixels of the rows, which may have changed since a state was saved.
            tell: called after each iteration.
        """
        timeout = self.interruptions.row_timeout
        allowed = None if timeout is None else timeout * len(rows)
        uri = saved_states.uri_of(self.output, row_keys(rows)) if self.output else None
        state = self._found(uri, pictures) if uri else None
        spent = float(state.notes["seconds"]) if state else 0.0
        began, pause = monotonic(), self.interruptions.save_every
        while True:
            now = monotonic()
            watch = _Watch(
                tell,
                overdue=None if allowed is None else began + allowed - spent,
                save=now + pause if uri else None,
                preemption=self.preemption,
            )
            try:
                return list(transfer(watch, state))
            except StateError:
                if state is None:
                    raise
                saved_states.delete([uri] if uri else [])
                state, spent, began = None, 0.0, monotonic()
                continue
            except Interrupted as stop:
                state, iteration, finished = stop.state, stop.iteration, stop.finished
            seconds = spent + monotonic() - began
            if watch.why == "overdue":
                why = f"{seconds:.1f} s of {allowed:g} s for {len(rows)} rows" if len(rows) > 1 else f"{seconds:.1f} s"
                failure = Failure(
                    "DeadlineExceeded",
                    f"optimising took longer than {timeout:g} s a row: {why}; reached iteration {iteration} "
                    f"of {watch.total}",
                )
                return [finished.get(b, failure) for b in range(len(rows))]
            assert uri is not None
            clock = monotonic()
            self._save(uri, state.noting(pictures=pictures, seconds=seconds))
            pause = max(self.interruptions.save_every, (monotonic() - clock) / SAVING_SHARE)
            if self.preemption and (watch.why == "preempted" or self.preemption.wanted):
                self.preemption.leave()

    def _found(self, uri: str, pictures: str) -> State | None:
        state = saved_states.load(uri)
        if state is None:
            return None
        if state.notes.get("pictures") != pictures or not isinstance(state.notes.get("seconds"), float):
            saved_states.delete([uri])
            return None
        self.touched.append(uri)
        return state

    def _save(self, uri: str, state: State) -> None:
        if saved_states.save(uri, state):
            self.touched.append(uri)
            if self.preemption:
                self.preemption.saved()


class _Watch(Observer):
    """Looks at the clock and for SIGTERM after each iteration; says whether to stop, and remembers why."""

    def __init__(
        self,
        tell: Callable[[int, int], object] | None,
        *,
        overdue: float | None,
        save: float | None,
        preemption: Preemption | None,
    ) -> None:
        self.tell, self.preemption = tell, preemption
        self.overdue, self.save = overdue, save
        self.why: Why | None = None
        self.total = 0

    def iteration(self, done: int, total: int) -> None:
        self.total = total
        watchdog.alive()
        if self.tell:
            self.tell(done, total)
        now = monotonic()
        if self.overdue is not None and now >= self.overdue:
            self.why = "overdue"
        elif self.preemption and self.preemption.wanted:
            self.why = "preempted"
        elif self.save is not None and now >= self.save:
            self.why = "save"

    @property
    def stop(self) -> bool:
        """Whether there is a reason to stop."""
        return self.why is not None
