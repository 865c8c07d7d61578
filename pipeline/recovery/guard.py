"""Stages that may die of a row: they work on whole batches, and on rows one by one where a batch has died before."""

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nst_kernel.result import StylizeResult
from pipeline import storage
from pipeline.outputs import provenance
from pipeline.planning import (
    Batch,
    Crashes,
    Failure,
    Fetched,
    Optimised,
    Pictures,
    PlannedRow,
    quarantine_failure,
    row_keys,
)
from pipeline.recovery import saved_states
from pipeline.recovery.ledger import Ledger

Outcome = TypeVar("Outcome")

log = logging.getLogger(__name__)


def survive(
    ledger: Ledger,
    stage: str,
    rows: Sequence[PlannedRow],
    *,
    work: Callable[[Sequence[int]], Sequence[Outcome]],
    refuse: Callable[[int, Failure], Outcome],
    resumable: Callable[[], bool] = lambda: False,
) -> list[Outcome]:
    """Work on rows such that a row that kills its process is known after some deaths, and the others get through.

    The caller is run again after a death, by Ray. It then finds the attempt that died here, and takes the rows one by
    one; so the row at fault dies alone the next time, and is refused the time after.

    Args:
        ledger: where attempts are noted.
        stage: name of the work.
        rows: to work on.
        work: outcomes of the rows at these places, together.
        refuse: outcome of the row at this place if it is not worked on any more.
        resumable: whether there is work on all rows together to go on from, which is worth a second death.

    Raises:
        StorageError: if the ledger cannot be used: that concerns every row.
    """
    died = ledger.open_attempts(stage, rows)
    if len(rows) > 1 and (not died or (len(died) == 1 and resumable())):
        with ledger.attempt(stage, rows):
            outcomes = list(work(range(len(rows))))
        _remove(died)
        return outcomes
    outcomes = []
    refused = False
    for place, planned in enumerate(rows):
        alone = died if len(rows) == 1 else ledger.open_attempts(stage, [planned])
        together = planned.crashes_together + (len(died) if len(rows) > 1 else 0)
        deaths = Crashes(together, len(alone))
        if deaths.should_quarantine(ledger.max_attempts):
            refused = True
            outcomes.append(refuse(place, quarantine_failure(planned.row.id, deaths)))
            continue
        if together or alone:
            log.warning("row %s is tried alone: its process died %d times", planned.row.id, together + len(alone))
        with ledger.attempt(stage, [planned]):
            outcomes += work([place])
        _remove(alone)
    if not refused:  # else the deaths are kept as evidence until the row that says so is durable
        _remove(died)
    return outcomes


def guarded_fetch(fetch: Callable[[Batch], Fetched], ledger: Ledger) -> Callable[[Batch], Fetched]:
    """Fetching and decoding that outlives pictures which kill a decoder."""

    def whole(batch: Batch) -> Fetched:
        rows = batch.rows
        if all(planned.failure for planned in rows):
            return fetch(batch)
        started_at, clock, before = provenance.now(), time.perf_counter(), storage.repeated()
        row_retries = [0] * len(rows)

        def work(places: Sequence[int]) -> Sequence[Pictures | Failure]:
            fetched = fetch(dataclasses.replace(batch, rows=tuple(rows[place] for place in places)))
            for place, count in zip(places, fetched.row_retries, strict=True):
                row_retries[place] = count
            return fetched.pictures

        pictures = survive(ledger, "fetch", rows, work=work, refuse=lambda _, failure: failure)
        batch_retries = storage.repeated() - before - sum(row_retries)
        seconds = time.perf_counter() - clock
        return Fetched(batch, tuple(pictures), started_at, seconds, tuple(row_retries), batch_retries)

    return whole


def guarded_optimise(optimise: Callable[[Fetched], Optimised], ledger: Ledger) -> Callable[[Fetched], Optimised]:
    """Optimising that outlives rows which kill the process."""

    def whole(fetched: Fetched) -> Optimised:
        if all(isinstance(pictures, Failure) for pictures in fetched.pictures):
            return optimise(fetched)
        parts: list[Optimised] = []
        before = storage.repeated()

        def work(places: Sequence[int]) -> Sequence[StylizeResult | Failure]:
            parts.append(optimise(_part(fetched, places)))
            return parts[-1].outcomes

        def refuse(place: int, failure: Failure) -> StylizeResult | Failure:
            parts.append(optimise(dataclasses.replace(_part(fetched, [place]), pictures=(failure,))))  # passes through
            return failure

        rows = fetched.batch.rows
        state = saved_states.uri_of(ledger.output, row_keys(rows))
        outcomes = survive(
            ledger, "optimise", rows, work=work, refuse=refuse, resumable=lambda: saved_states.exists(state)
        )
        retries = fetched.batch_retries + storage.repeated() - before
        return dataclasses.replace(
            parts[0],
            fetched=dataclasses.replace(fetched, pictures=(), batch_retries=retries),
            outcomes=tuple(outcomes),
            seconds=sum(part.seconds for part in parts),
            saved_states=tuple(dict.fromkeys([state, *(uri for part in parts for uri in part.saved_states)])),
        )

    return whole


def guarded_write(
    write: Callable[[Optimised, Sequence[int]], list[dict[str, Any]]], ledger: Ledger
) -> Callable[[Optimised], list[dict[str, Any]]]:
    """Encoding and writing that outlives pictures which kill an encoder, and storage at which a process stands still.

    A row that is refused here is computed, but nobody will see it.
    """

    def whole(optimised: Optimised) -> list[dict[str, Any]]:
        rows = optimised.fetched.batch.rows

        def work(places: Sequence[int]) -> Sequence[dict[str, Any]]:
            return write(optimised, places)

        def refuse(place: int, failure: Failure) -> dict[str, Any]:
            outcomes = (*optimised.outcomes[:place], failure, *optimised.outcomes[place + 1 :])
            (written,) = write(dataclasses.replace(optimised, outcomes=outcomes), [place])
            return written

        return survive(ledger, "write", rows, work=work, refuse=refuse)

    return whole


def _part(fetched: Fetched, places: Sequence[int]) -> Fetched:
    rows = tuple(fetched.batch.rows[place] for place in places)
    return dataclasses.replace(
        fetched,
        batch=dataclasses.replace(fetched.batch, rows=rows),
        pictures=tuple(fetched.pictures[place] for place in places) if fetched.pictures else (),
        row_retries=tuple(fetched.row_retries[place] for place in places),
    )


def _remove(attempts: Sequence[str]) -> None:
    for uri in attempts:
        storage.remove(uri)
