"""Attempts that nobody made before: they cost one request or none, and a crash is found out all the same."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import layout, storage
from pipeline.outputs import provenance
from pipeline.planning import Batch, Crashes, Failure, Fetched, Optimised, Pictures, row_keys
from pipeline.recovery import Ledger, guarded_optimise, ledger, repeats, saved_states
from pipeline.recovery.attempt import FIRST, AttemptName
from pipeline.recovery.guard import isolate_crashes
from pipeline.storage import Store
from tests.pipeline.recovery.test_ledger import Crashed, CrashingLedger, Process, new_output, refuse, rows


class Noting:
    """A store that notes what is asked of it, and may lose the answer to a first write."""

    def __init__(self, store: Store, asked: list[str], lost: list[str]) -> None:
        self.store, self.asked, self.lost = store, asked, lost

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            self.asked.append(verb)
            answer = getattr(self.store, verb)(*arguments)
            if verb in self.lost:
                self.lost.remove(verb)
                raise ConnectionResetError("reset")
            return answer

        return noted


@contextlib.contextmanager
def asked(*lost: str) -> Any:
    """Note the requests to storage within this block; the answer to a first one of these verbs is lost."""
    noted: list[str] = []
    left = list(lost)
    undo = storage.intercept(lambda _, store: Noting(store, noted, left))
    try:
        yield noted
    finally:
        undo()


def done(places: Sequence[int]) -> list[str]:
    return ["ok"] * len(places)


@pytest.mark.parametrize(("stage", "requests"), [("optimise", ["write_if", "remove"]), ("fetch", []), ("write", [])])
def test_rows_that_nobody_took_up_before_cost_little(stage: str, requests: list[str]) -> None:
    notes = Ledger(new_output())
    with asked() as noted:
        assert isolate_crashes(notes, stage, rows(3), work=done, refuse=refuse) == [["ok"] * 3]
        assert isolate_crashes(notes, stage, rows(1), work=done, refuse=refuse) == [["ok"]]
    assert noted == 2 * requests


def test_a_first_attempt_has_the_name_that_the_next_one_meets() -> None:
    output, planned = new_output(), rows(2)
    record, crashed = Ledger(output).take_up("optimise", planned)
    assert not crashed
    assert record is not None
    assert record.endswith(f"-{FIRST}.json")
    with asked() as noted:
        record, crashed = Ledger(output).take_up("optimise", planned)
    assert record is None
    assert len(crashed) == 1
    assert noted == ["write_if", "read", "names_beginning"]


def test_an_attempt_that_met_another_is_recorded_though_that_is_withdrawn_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that was given up for lost comes to its end."""
    output, planned = new_output(), rows(2)
    Ledger(output).take_up("optimise", planned)
    monkeypatch.setattr(Ledger, "open_attempts", lambda *_: [])
    record, crashed = Ledger(output).take_up("optimise", planned)
    assert not crashed
    assert record is not None
    assert len(ledger.read_attempts(output)) == 2


def test_an_attempt_whose_answer_was_lost_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_STORAGE_FIRST_DELAY", "0")
    output, planned = new_output(), rows(2)
    with asked("write_if"):
        made = isolate_crashes(Ledger(output), "optimise", planned, work=done, refuse=refuse)
    assert made == [["ok", "ok"]]
    assert ledger.read_attempts(output) == []


@pytest.mark.parametrize("stage", ["fetch", "write"])
@pytest.mark.parametrize("count", [1, 3])
def test_rows_of_a_task_that_ray_repeats_are_tried_one_by_one_and_recorded(
    stage: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, planned = new_output(), rows(count)
    seen: list[int] = []

    def work(places: Sequence[int]) -> list[str]:
        seen.append(len(ledger.read_attempts(output)))
        return done(places)

    monkeypatch.setattr(repeats, "begun_before", lambda: True)
    made = isolate_crashes(Ledger(output), stage, planned, work=work, refuse=refuse)
    assert made == [["ok"]] * count
    assert seen == [1] * count
    assert ledger.read_attempts(output) == []


@given(st.integers(1, 6), st.frozensets(st.integers(0, 5)), st.integers(1, 4))
def test_poison_in_a_task_is_found_although_its_first_crash_is_not_recorded(
    count: int, bad: frozenset[int], most: int
) -> None:
    planned, output, poison = rows(count), new_output(), {f"r{n}" for n in bad}
    crashes = 0

    def work(places: Sequence[int]) -> list[str]:
        nonlocal crashes
        if any(planned[place].row.id in poison for place in places):
            crashes += 1
            raise Crashed
        return done(places)

    with pytest.MonkeyPatch.context() as patch:
        for number in range(100):
            patch.setattr(repeats, "begun_before", lambda number=number: number > 0)
            with contextlib.suppress(Crashed):
                parts = isolate_crashes(
                    CrashingLedger(output, max_attempts=most), "fetch", planned, work=work, refuse=refuse
                )
                break
    outcomes = list(itertools.chain.from_iterable(parts))
    assert outcomes == ["quarantined" if n in bad else "ok" for n in range(count)]
    found = len(bad & set(range(count)))
    assert crashes == (1 + found * max(1, most - 1) if found else 0)


@pytest.mark.parametrize("stage", ["fetch", "optimise", "write"])
def test_a_wary_run_records_every_attempt_and_asks_for_earlier_ones(stage: str) -> None:
    output, planned = new_output(), rows(1)
    for _ in range(2):  # of names that only a listing tells
        Ledger(output).record(stage, planned)
    notes = CrashingLedger(output, wary=True)
    assert isolate_crashes(notes, stage, planned, work=done, refuse=refuse) == [["quarantined"]]
    with pytest.raises(Crashed):
        Process(CrashingLedger(new_output(), wary=True), frozenset(["r0"])).once(planned)
    fresh = new_output()
    record, crashed = Ledger(fresh, wary=True).take_up(stage, planned)
    assert not crashed
    assert record is not None
    assert [attempt.name for attempt in ledger.read_attempts(fresh)] == [AttemptName.parse(record)]


def test_first_attempts_of_several_killed_runs_are_all_kept() -> None:
    """They had one name, one after the other."""
    output, planned = new_output(), rows(1)
    for run in ("monday", "tuesday", "wednesday"):
        Ledger(output, run).take_up("optimise", planned)
        ledger.collect_crashes(output)
    (crashes,) = ledger.crashes_by_row(ledger.collect_crashes(output)).values()
    assert crashes == Crashes(with_run=3)


def test_an_attempt_that_was_being_renamed_when_its_run_crashed_counts_once() -> None:
    output, planned = new_output(), rows(1)
    Ledger(output, "monday").take_up("optimise", planned)
    (attempt,) = ledger.read_attempts(output)
    storage.write_bytes(attempt.ended_with_run().uri, attempt.to_json())
    (crashes,) = ledger.crashes_by_row(ledger.collect_crashes(output)).values()
    assert crashes == Crashes(with_run=1)
    assert len(ledger.read_attempts(output)) == 1


def test_outside_of_ray_nothing_is_repeated() -> None:
    assert not repeats.begun_before()


def optimised(output: str, *, before: int, saved: bool) -> Optimised:
    """What becomes of a batch of two rows, which crashed so often before; whether its state was saved."""
    batch = Batch(tuple(rows(2)))
    for _ in range(before):
        Ledger(output).record("optimise", batch.rows)

    def optimise(part: Fetched) -> Optimised:
        states = (saved_states.uri_of(output, row_keys(part.batch.rows)),) if saved else ()
        outcomes = tuple(Failure("Oops", planned.row.id) for planned in part.batch.rows)
        return Optimised(part, outcomes, "cpu", "fp32", seconds=1.0, saved_states=states)

    fetched = Fetched(batch, (Pictures(),) * 2, provenance.now(), seconds=1.0, row_retries=(0, 0))
    return guarded_optimise(optimise, Ledger(output, wary=before > 0))(fetched)


@pytest.mark.parametrize(("before", "saved", "states"), [(0, False, 0), (0, True, 1), (1, False, 1), (1, True, 3)])
def test_states_that_were_never_saved_are_not_deleted(before: int, saved: bool, states: int) -> None:
    assert len(optimised(new_output(), before=before, saved=saved).saved_states) == states


def test_the_state_of_a_row_that_is_given_up_is_deleted() -> None:
    output, planned = new_output(), rows(1)
    for _ in range(2):
        Ledger(output).record("optimise", planned)

    def optimise(part: Fetched) -> Optimised:
        return Optimised(part, (Failure("Oops", "x"),), "cpu", "fp32", seconds=1.0)

    fetched = Fetched(Batch(tuple(planned)), (Pictures(),), provenance.now(), seconds=1.0, row_retries=(0,))
    given_up = guarded_optimise(optimise, Ledger(output, wary=True))(fetched)
    assert given_up.saved_states == (saved_states.uri_of(output, row_keys(planned)),)


def test_a_state_is_looked_for_where_there_may_be_one() -> None:
    output = new_output()
    there, elsewhere = (saved_states.uri_of(output, row_keys(rows(count))) for count in (1, 2))
    assert saved_states.names(output) == frozenset()
    storage.write_bytes(there, b"state")
    saved = saved_states.names(output)
    known = saved_states.expecting(output, saved, restarted=False)
    assert [known(uri) for uri in (there, elsewhere)] == [True, False]
    assert not saved_states.expecting(output, frozenset(), restarted=False)(there)
    assert layout.is_saved_state(there)
    assert dataclasses.replace(Ledger(output), saved=saved).saved == {there.rpartition("/")[2]}


@pytest.mark.parametrize("restarted", [False, True])
def test_an_actor_in_the_place_of_another_looks_for_its_state(restarted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = import_module("pipeline.flow.dataset")
    worth: list[bool] = []
    output = new_output()
    storage.write_bytes(f"{output}/preempted/a.safetensors", b"state")

    def resumable(*_: object, may_be_saved: Callable[[str], bool], **__: object) -> SimpleNamespace:
        worth.append(may_be_saved(f"{output}/preempted/a.safetensors"))
        return SimpleNamespace(preemption=None)

    monkeypatch.setattr(dataset, "ResumableOptimisation", resumable)
    monkeypatch.setattr(dataset, "BusyShare", lambda kernel, **_: kernel)
    monkeypatch.setattr("pipeline.recovery.orphans.exit_when_run_ends", lambda _: None)
    context = SimpleNamespace(was_current_actor_reconstructed=restarted)
    monkeypatch.setattr("ray.get_runtime_context", lambda: context)
    dataset._Stylise(storage.in_force(), lambda *_, **__: None, "weights", 1, Ledger(output), None)
    assert worth == [restarted]


def test_a_process_in_the_place_of_another_looks_once_which_states_there_are() -> None:
    output = new_output()
    there, elsewhere = (f"{output}/preempted/{name}.safetensors" for name in "ab")
    assert not saved_states.expecting(output, frozenset(), restarted=True)(there)
    storage.write_bytes(there, b"state")
    known = saved_states.expecting(output, frozenset(), restarted=True)
    with asked() as noted:
        assert [known(uri) for uri in (there, elsewhere)] == [True, False]
    assert noted == []


def test_where_states_cannot_be_listed_each_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: str) -> Any:
        raise storage.StorageError("no permission")

    monkeypatch.setattr(storage, "walk", refused)
    output = new_output()
    uri = f"{output}/preempted/a.safetensors"
    assert saved_states.expecting(output, frozenset(), restarted=True)(uri)
    assert not saved_states.expecting(output, frozenset(), restarted=False)(uri)
