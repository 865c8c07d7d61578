"""What the guarded stages leave in storage, and what they report, when a row has crashed its process."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from datetime import timedelta
from types import SimpleNamespace

import pytest

from pipeline import storage
from pipeline.outputs import provenance
from pipeline.planning import Batch, Failure, Fetched, Optimised, Pictures, row_keys
from pipeline.recovery import Ledger, guarded_fetch, guarded_optimise, ledger, saved_states
from pipeline.recovery import guard as guard_module
from pipeline.recovery.guard import isolate_crashes
from tests.pipeline.recovery.test_ledger import Crashed, CrashingLedger, Process, new_output, refuse, rows


def crash(output: str, *places: int, count: int = 3) -> None:
    """Leave the record of a process that ended while it worked on some rows of a batch."""
    planned = rows(count)
    with contextlib.suppress(Crashed), CrashingLedger(output).attempt("optimise", [planned[n] for n in places]):
        raise Crashed


def work(places: Sequence[int]) -> list[str]:
    return ["ok"] * len(places)


def test_crashes_of_a_batch_stay_recorded_until_the_row_at_fault_is_written_down() -> None:
    """If this process ended before the refused row is durable, the next one must know as much as this one."""
    output, planned = new_output(), rows(3)
    process = Process(CrashingLedger(output, "run", 2), frozenset(["r1"]))
    assert process.until_it_ends(planned) == ["ok", "quarantined", "ok"]
    assert process.deaths == 2
    left = [attempt.rows for attempt in ledger.read_attempts(output)]
    assert sorted(left, key=len) == [row_keys([planned[1]]), row_keys(planned)]
    assert process.until_it_ends(planned) == ["ok", "quarantined", "ok"]
    assert process.deaths == 2


def test_crashes_with_others_in_earlier_runs_count(monkeypatch: pytest.MonkeyPatch) -> None:
    output = new_output()
    crash(output, 0, count=1)
    suspect = dataclasses.replace(rows(1)[0], crashes_together=1)
    made = isolate_crashes(Ledger(output, max_attempts=2, wary=True), "optimise", [suspect], work=work, refuse=refuse)
    assert made == [["quarantined"]]


def test_a_row_that_got_through_alone_is_not_suspected_any_more() -> None:
    output, planned = new_output(), rows(3)
    crash(output, 0, 1, 2)
    crash(output, 1)
    made = isolate_crashes(Ledger(output, max_attempts=9, wary=True), "optimise", planned, work=work, refuse=refuse)
    assert made == [["ok"]] * 3
    assert ledger.read_attempts(output) == []


def test_a_process_is_watched_while_it_works_on_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[float | None] = [None]

    @contextlib.contextmanager
    def watching(seconds: float) -> Iterator[None]:
        watched.append(seconds)
        yield
        watched.append(None)

    monkeypatch.setattr("pipeline.process.watchdog.watching", watching)
    seen: list[float | None] = []
    isolate_crashes(
        Ledger(new_output(), stall_timeout=12.5),
        "optimise",
        rows(2),
        work=lambda places: seen.append(watched[-1]),
        refuse=lambda *_: None,
    )
    assert seen == [12.5]
    assert watched[-1] is None


class Clock:
    """A clock for `time.perf_counter` that goes on when it is told to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        patch.setattr(guard_module, "time", SimpleNamespace(perf_counter=lambda: self.seconds))


@pytest.mark.parametrize("died_before", [False, True])
def test_a_fetched_batch_took_as_long_as_all_its_parts(died_before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    output, clock = new_output(), Clock(monkeypatch)
    batch = Batch(tuple(rows(3)))
    if died_before:
        Ledger(output).record("fetch", batch.rows)

    def fetch(part: Batch) -> Fetched:
        clock.seconds += 2.0 * len(part.rows)
        pictures = tuple(Pictures() for _ in part.rows)
        later = provenance.now() + timedelta(hours=1)
        return Fetched(part, pictures, later, seconds=2.0 * len(part.rows), row_retries=(0,) * len(part.rows))

    fetched = guarded_fetch(fetch, Ledger(output, wary=True))(batch)
    assert fetched.seconds == 6.0
    assert len(fetched.pictures) == 3
    assert fetched.started_at <= provenance.now()


@pytest.mark.parametrize("died_before", [False, True])
def test_an_optimised_batch_took_as_long_as_all_its_parts_and_leaves_no_state(died_before: bool) -> None:
    output = new_output()
    batch = Batch(tuple(rows(3)))
    whole = saved_states.uri_of(output, row_keys(batch.rows))
    if died_before:
        Ledger(output).record("optimise", batch.rows)

    def optimise(part: Fetched) -> Optimised:
        count = len(part.batch.rows)
        outcomes = tuple(Failure("Oops", planned.row.id) for planned in part.batch.rows)
        states = (saved_states.uri_of(output, row_keys(part.batch.rows)),)
        return Optimised(part, outcomes, "cpu", "fp32", seconds=2.0 * count, saved_states=states)

    fetched = Fetched(batch, (Pictures(),) * 3, provenance.now(), seconds=1.0, row_retries=(0, 0, 0))
    optimised = guarded_optimise(optimise, Ledger(output, wary=True))(fetched)
    assert optimised.seconds == 6.0
    assert [outcome.error for outcome in optimised.outcomes if isinstance(outcome, Failure)] == ["r0", "r1", "r2"]
    assert whole in optimised.saved_states  # of the batch as it was before it crashed: nobody resumes from it again
    assert len(optimised.saved_states) == (4 if died_before else 1)


def test_attempts_are_withdrawn_only_once_the_work_is_done() -> None:
    output, planned = new_output(), rows(2)
    seen: list[int] = []
    isolate_crashes(
        Ledger(output),
        "optimise",
        planned,
        work=lambda places: seen.append(len(storage.list_files(f"{output}/ledger"))),
        refuse=lambda *_: None,
    )
    assert seen == [1]
    assert ledger.read_attempts(output) == []
