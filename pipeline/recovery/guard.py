"""Stages that survive rows which crash their process: batches whole, and row by row where a batch has crashed before.

Ray runs a stage again after its process crashed. The stage then finds the record of its crashed attempt in the ledger
and takes the rows one by one, so that the row at fault crashes alone the next time, and is refused the time after.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from pipeline.outputs import provenance
from pipeline.planning import Batch, Crashes, Failure, Fetched, Optimised, PlannedRow, quarantine_failure, row_keys
from pipeline.recovery import saved_states
from pipeline.recovery.ledger import Crashed, Ledger, remove_records, repeated

Given = TypeVar("Given")
"""What a stage is given: a batch of some form."""

Made = TypeVar("Made")
"""What a stage makes of a batch, or of a part of it."""

log = logging.getLogger(__name__)


def isolate_crashes(
    ledger: Ledger,
    stage: str,
    rows: Sequence[PlannedRow],
    *,
    work: Callable[[Sequence[int]], Made],
    refuse: Callable[[int, Failure], Made],
    resumable: Callable[[], bool] = lambda: False,
) -> list[Made]:
    """Work on rows such that one that crashes its process is refused after some crashes, and the others get through.

    Args:
        ledger: where attempts are recorded.
        stage: name of the work.
        rows: to work on.
        work: works on the rows at these places, 0 for the first, together.
        refuse: makes what stands for the row at this place, which is not worked on any more.
        resumable: whether work on all rows together can go on from a saved state, which is worth a second attempt.

    Returns:
        What `work` and `refuse` made, in the order of the rows: one for all rows, or one for each row.

    Raises:
        StorageError: if the ledger cannot be used, which concerns every row.
    """
    record, crashed = ledger.take_up(stage, rows)
    if not crashed:
        with ledger.during(stage, rows, record):
            return [work(range(len(rows)))]
    if len(rows) > 1 and len(crashed) == 1 and resumable():
        with ledger.attempt(stage, rows):
            made = work(range(len(rows)))
        remove_records(ledger.output, crashed.records)
        return [made]
    return _one_by_one(ledger, stage, rows, crashed, work=work, refuse=refuse)


def _one_by_one(
    ledger: Ledger,
    stage: str,
    rows: Sequence[PlannedRow],
    crashed: Crashed,
    *,
    work: Callable[[Sequence[int]], Made],
    refuse: Callable[[int, Failure], Made],
) -> list[Made]:
    """Work on each row alone, or refuse it if it has crashed its process often enough.

    Args:
        ledger: where attempts are recorded.
        stage: name of the work.
        rows: to work on.
        crashed: attempts at all rows together that crashed.
        work: works on the rows at these places.
        refuse: makes what stands for the row at this place, which is not worked on any more.
    """
    parts, refused = [], False
    for place, planned in enumerate(rows):
        # A batch of one row that crashed has crashed alone; crashes of a larger one are shared by its rows.
        alone = crashed.records if len(rows) == 1 else ledger.open_attempts(stage, [planned])
        # One that is not recorded counts as shared: other batches may have been in the same task.
        shared = len(crashed) if len(rows) > 1 else crashed.unrecorded
        crashes = Crashes(planned.crashes_together + shared, len(alone))
        if crashes.should_quarantine(ledger.max_attempts):
            refused = True
            parts.append(refuse(place, quarantine_failure(planned.row.id, crashes)))
            continue
        if crashes.total:
            log.warning("row %s is tried alone: its process died %d times", planned.row.id, crashes.total)
        with ledger.attempt(stage, [planned]):
            parts.append(work([place]))
        remove_records(ledger.output, alone)
    if not refused:  # otherwise the crashes stay known until the row that tells of them is durable
        remove_records(ledger.output, crashed.records)
        ledger.is_over(stage, rows)
    return parts


@dataclass(frozen=True)
class Effort:
    """What the work on a whole batch took, its parts and the requests of the ledger included.

    Attributes:
        started_at: when it began, UTC.
        seconds: that it took.
        retries: requests to storage that were repeated by the threads which did it; rows count those of theirs.
    """

    started_at: datetime
    seconds: float
    retries: int


@dataclass(frozen=True)
class _Parts(Generic[Given, Made]):
    """How a stage works on parts of a batch, and how these are joined.

    Attributes:
        rows: returns the rows of a batch.
        idle: returns whether no row of a batch is left to work on, so that nothing can crash.
        work: runs the stage on the rows of a batch at some places.
        refuse: makes what stands for the row at a place that is not tried again.
        join: makes the result of the whole batch from those of its parts, which are in the order of the rows.
        resumable: returns whether work on the whole batch can go on from a saved state.
    """

    rows: Callable[[Given], Sequence[PlannedRow]]
    idle: Callable[[Given], bool]
    work: Callable[[Given, Sequence[int]], Made]
    refuse: Callable[[Given, int, Failure], Made]
    join: Callable[[Given, Sequence[Made], Effort], Made]
    resumable: Callable[[Given], bool] = lambda _: False


def _guarded(stage: str, ledger: Ledger, parts: _Parts[Given, Made]) -> Callable[[Given], Made]:
    """Return a stage that works on batches whole, and on their rows one by one after a crash."""

    def whole(batch: Given) -> Made:
        rows = parts.rows(batch)
        if parts.idle(batch):
            return parts.work(batch, range(len(rows)))
        started_at, clock, before = provenance.now(), time.perf_counter(), repeated()
        made = isolate_crashes(
            ledger,
            stage,
            rows,
            work=lambda places: parts.work(batch, places),
            refuse=lambda place, failure: parts.refuse(batch, place, failure),
            resumable=lambda: parts.resumable(batch),
        )
        effort = Effort(started_at, time.perf_counter() - clock, repeated() - before)
        return parts.join(batch, made, effort)

    return whole


def guarded_fetch(fetch: Callable[[Batch], Fetched], ledger: Ledger) -> Callable[[Batch], Fetched]:
    """Wrap the fetching stage so that it survives pictures that crash a decoder."""

    def part(batch: Batch, places: Sequence[int]) -> Batch:
        return dataclasses.replace(batch, rows=tuple(batch.rows[place] for place in places))

    def refuse(batch: Batch, place: int, failure: Failure) -> Fetched:
        return Fetched(part(batch, [place]), (failure,), provenance.now(), seconds=0.0, row_retries=(0,))

    def join(batch: Batch, parts: Sequence[Fetched], effort: Effort) -> Fetched:
        return Fetched(
            batch,
            pictures=tuple(pictures for fetched in parts for pictures in fetched.pictures),
            started_at=effort.started_at,
            seconds=effort.seconds,
            row_retries=tuple(count for fetched in parts for count in fetched.row_retries),
            batch_retries=effort.retries,
        )

    parts = _Parts(
        rows=lambda batch: batch.rows,
        idle=lambda batch: batch.is_refused,
        work=lambda batch, places: fetch(part(batch, places)),
        refuse=refuse,
        join=join,
    )
    return _guarded("fetch", ledger, parts)


def guarded_optimise(optimise: Callable[[Fetched], Optimised], ledger: Ledger) -> Callable[[Fetched], Optimised]:
    """Return the optimising stage such that it survives rows which crash the process.

    A batch that has a saved state is tried together once more before its rows are taken one by one.
    """

    def part(fetched: Fetched, places: Sequence[int]) -> Fetched:
        return dataclasses.replace(
            fetched,
            batch=dataclasses.replace(fetched.batch, rows=tuple(fetched.batch.rows[place] for place in places)),
            pictures=tuple(fetched.pictures[place] for place in places),
            row_retries=tuple(fetched.row_retries[place] for place in places),
        )

    def refuse(fetched: Fetched, place: int, failure: Failure) -> Optimised:
        alone = part(fetched, [place])
        passed = optimise(dataclasses.replace(alone, pictures=(failure,)))  # it passes through
        return dataclasses.replace(passed, saved_states=(state_of(alone),))

    def state_of(fetched: Fetched) -> str:
        return saved_states.uri_of(ledger.output, row_keys(fetched.batch.rows))

    def join(fetched: Fetched, parts: Sequence[Optimised], effort: Effort) -> Optimised:
        retries = fetched.batch_retries + effort.retries
        # That of the batch as it was before it crashed: nobody resumes from it again.
        whole = [state_of(fetched)] if len(parts) > 1 else []
        states = [*whole, *(uri for optimised in parts for uri in optimised.saved_states)]
        return dataclasses.replace(
            parts[0],
            fetched=dataclasses.replace(fetched, pictures=(), batch_retries=retries),
            outcomes=tuple(outcome for optimised in parts for outcome in optimised.outcomes),
            seconds=sum(optimised.seconds for optimised in parts),
            saved_states=tuple(dict.fromkeys(states)),
        )

    parts = _Parts(
        rows=lambda fetched: fetched.batch.rows,
        idle=lambda fetched: all(isinstance(pictures, Failure) for pictures in fetched.pictures),
        work=lambda fetched, places: optimise(part(fetched, places)),
        refuse=refuse,
        join=join,
        resumable=lambda fetched: saved_states.exists(state_of(fetched)),
    )
    return _guarded("optimise", ledger, parts)


Written = list[dict[str, Any]]
"""What the driver gets of a written batch: some columns of each row's results."""


def guarded_write(
    write: Callable[[Optimised, Sequence[int]], Written], ledger: Ledger
) -> Callable[[Optimised], Written]:
    """Return the writing stage such that it survives pictures which crash an encoder, and storage that hangs.

    A row that is refused here is computed, but its picture is lost.
    """

    def refuse(optimised: Optimised, place: int, failure: Failure) -> Written:
        outcomes = (*optimised.outcomes[:place], failure, *optimised.outcomes[place + 1 :])
        return write(dataclasses.replace(optimised, outcomes=outcomes), [place])

    parts = _Parts(
        rows=lambda optimised: optimised.fetched.batch.rows,
        idle=lambda _: False,
        work=write,
        refuse=refuse,
        join=lambda _, parts, __: [row for rows in parts for row in rows],
    )
    return _guarded("write", ledger, parts)
