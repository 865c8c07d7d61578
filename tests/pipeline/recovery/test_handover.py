"""A crash is known to the process in the place of the one that crashed, although its record was on its way."""

import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import storage
from pipeline.planning import row_keys
from pipeline.recovery import Ledger, handover, ledger
from pipeline.recovery.attempt import FIRST, AttemptName
from pipeline.recovery.guard import isolate_crashes
from pipeline.recovery.handover import Handover
from pipeline.recovery.recorder import Recorder
from pipeline.storage import Store
from tests.pipeline.recovery.conftest import Head
from tests.pipeline.recovery.test_first_attempts import done
from tests.pipeline.recovery.test_ledger import Crashed, CrashingLedger, Process, new_output, refuse, rows


class Late(Recorder):
    """A recorder of a store so far away that a record is there only when it is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: dict[str, Callable[[], str]] = {}

    def write(self, uri: str, request: Callable[[], str]) -> None:
        self.requests[uri] = request

    def settle(self, uri: str) -> None:
        if uri in self.requests:
            super().write(uri, self.requests.pop(uri))
        super().settle(uri)


class CrashingActor(CrashingLedger):
    """A ledger whose process ends without a word, and before a record on its way is there, when `Crashed` is raised."""

    @contextlib.contextmanager
    def during(self, stage: str, rows: Any, record: str | None) -> Iterator[None]:
        if record:
            ledger._recorder.add(record)
        yield
        if record:
            ledger._recorder.settle(record)
            self.is_over(stage, rows)
            ledger._recorder.withdraw(record)


@dataclasses.dataclass
class Actor(Process):
    """A process in the place of which Ray starts another one when it ends."""

    head: Head = dataclasses.field(kw_only=True)
    recorder: ClassVar[type[Recorder]] = Late

    def once(self, planned: Any) -> list[str]:
        self.head.begin(self.recorder())
        return super().once(planned)


@given(st.integers(1, 8), st.frozensets(st.integers(0, 7)), st.integers(1, 4))
def test_poison_that_crashes_before_its_record_is_there_is_found_as_soon(
    count: int, bad: frozenset[int], most: int
) -> None:
    planned = rows(count)
    with pytest.MonkeyPatch.context() as patch:
        head = Head(patch)
        notes = CrashingActor(new_output(), "run", most)
        process = Actor(notes, frozenset(f"r{n}" for n in bad), head=head)
        outcomes = process.until_it_ends(planned)
    poison = len(bad & set(range(count)))
    assert outcomes == ["quarantined" if n in bad else "ok" for n in range(count)]
    together = 1 if poison and count > 1 else 0
    assert process.deaths == together + poison * max(1, most - together)


class Overwriting:
    """A store that ignores conditions."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        request: Callable[..., Any] = getattr(self.store, verb)
        return request

    def write_if(self, path: str, data: bytes, _: str | None) -> bool:
        """Write in any case."""
        self.store.write(path, data)
        return True


@pytest.mark.parametrize("recorder", [Late, Recorder])
def test_an_actor_in_the_place_of_another_does_not_rely_on_the_store(
    recorder: type[Recorder], head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that writes over what is there would have a row that crashes its process tried without end."""
    monkeypatch.setattr(Actor, "recorder", recorder)
    undo = storage.intercept(lambda _, store: Overwriting(store))
    try:
        process = Actor(CrashingActor(new_output()), frozenset(["r1"]), head=head)
        assert process.until_it_ends(rows(3)) == ["ok", "quarantined", "ok"]
    finally:
        undo()
    assert process.deaths == 2


def crash_at(head: Head, output: str, planned: Any) -> None:
    """Have a process crash at rows before its record is there, and another take its place."""
    with contextlib.suppress(Crashed):
        Actor(CrashingActor(output, max_attempts=9), frozenset(p.row.id for p in planned), head=head).once(planned)
    head.begin()


def test_a_crash_is_not_forgotten_while_the_process_in_its_place_is_at_other_rows(head: Head) -> None:
    """Ray may give it these first."""
    output, planned = new_output(), rows(4)
    crash_at(head, output, planned[:2])
    crash_at(head, output, planned[2:])
    assert ledger.read_attempts(output) == []
    for some in (planned[:2], planned[2:]):
        made = isolate_crashes(Ledger(output), "optimise", some, work=done, refuse=refuse)
        assert made == [["ok"], ["ok"]]
    assert head.notes == {}
    assert ledger.read_attempts(output) == []


def test_the_record_of_a_crash_is_what_its_process_would_have_written(head: Head) -> None:
    output, planned = new_output(), rows(1)
    crash_at(head, output, planned)
    noted = json.loads(head.notes["actor"])
    isolate_crashes(Ledger(output, max_attempts=1), "optimise", planned, work=done, refuse=refuse)
    (attempt,) = ledger.read_attempts(output)
    assert attempt.rows == row_keys(planned)
    assert attempt.name.unique == FIRST
    ((_, told),) = noted.items()
    assert attempt.name == AttemptName.parse(told["uri"])
    assert (attempt.pid, attempt.began_at) == (told["pid"], told["began_at"])


def test_rows_that_got_through_are_of_no_concern_to_the_next_process(head: Head) -> None:
    output, planned = new_output(), rows(3)
    crash_at(head, output, planned)
    isolate_crashes(Ledger(output), "optimise", planned, work=done, refuse=refuse)
    head.begin()
    assert isolate_crashes(Ledger(output), "optimise", planned, work=done, refuse=refuse) == [["ok"] * 3]


def test_a_row_that_was_refused_is_refused_again_where_that_was_lost_with_its_node(head: Head) -> None:
    output, planned = new_output(), rows(1)
    crash_at(head, output, planned)
    for _ in range(2):
        made = isolate_crashes(Ledger(output, max_attempts=1), "optimise", planned, work=done, refuse=refuse)
        assert made == [["quarantined"]]
        head.begin()


def test_what_crashed_before_stays_known_when_a_process_ends_on_request(head: Head) -> None:
    output, planned = new_output(), rows(3)
    crash_at(head, output, planned)

    def leave(places: Sequence[int]) -> list[str]:
        ledger.withdraw_own()
        raise Crashed

    with contextlib.suppress(Crashed):
        isolate_crashes(CrashingActor(output), "optimise", planned, work=leave, refuse=refuse)
    head.begin()
    assert isolate_crashes(Ledger(output), "optimise", planned, work=done, refuse=refuse) == [["ok"]] * 3


def test_a_process_that_ends_on_request_does_not_blame_its_rows(head: Head) -> None:
    output, planned = new_output(), rows(3)

    def leave(places: Sequence[int]) -> list[str]:
        ledger.withdraw_own()
        raise Crashed

    with contextlib.suppress(Crashed):
        isolate_crashes(CrashingActor(output), "optimise", planned, work=leave, refuse=refuse)
    head.begin()
    assert isolate_crashes(Ledger(output), "optimise", planned, work=done, refuse=refuse) == [["ok"] * 3]


@pytest.mark.parametrize("verbs", [("get", "put"), ("put",)], ids="and".join)
def test_where_ray_keeps_no_notes_work_waits_for_its_record(
    verbs: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the head is gone")

    monkeypatch.setattr(handover, "_actor", lambda: "actor")
    monkeypatch.setattr("ray.experimental.internal_kv._internal_kv_get", lambda *_, **__: None)
    for verb in verbs:
        monkeypatch.setattr(f"ray.experimental.internal_kv._internal_kv_{verb}", broken)
    monkeypatch.setattr(ledger, "_handover", Handover())
    monkeypatch.delattr(Recorder, "write")  # which would have it recorded by the thread
    output = new_output()
    seen: list[int] = []

    def work(places: Sequence[int]) -> list[str]:
        seen.append(len(ledger.read_attempts(output)))
        return done(places)

    isolate_crashes(Ledger(output), "optimise", rows(2), work=work, refuse=refuse)
    assert seen == [1]
    assert ledger.read_attempts(output) == []


def test_a_wary_run_waits_for_its_records(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that takes its machine down at once would do so in every run, as notes are gone with it."""
    monkeypatch.delattr(Recorder, "write")  # which would have it recorded by the thread
    output = new_output()

    def work(places: Sequence[int]) -> list[str]:
        assert len(ledger.read_attempts(output)) == 1
        return done(places)

    assert isolate_crashes(Ledger(output, wary=True), "optimise", rows(2), work=work, refuse=refuse) == [["ok"] * 2]
    assert ledger.read_attempts(output) == []


@pytest.mark.parametrize("stage", ["fetch", "write"])
def test_tasks_leave_no_notes(head: Head, stage: str) -> None:
    isolate_crashes(Ledger(new_output(), wary=True), stage, rows(1), work=done, refuse=refuse)
    assert isolate_crashes(Ledger(new_output()), stage, rows(1), work=lambda _: head.notes.copy(), refuse=refuse) == [
        {}
    ]


def test_a_crash_counts_once_however_often_it_is_handed_on(head: Head) -> None:
    """A record of the fixed name may have been left by another attempt."""
    output, planned = new_output(), rows(1)
    assert Ledger(output)._attempt("optimise", planned, first=True).is_put()
    attempt = Ledger(output)._attempt("optimise", planned, first=True)
    assert {attempt.put() for _ in range(3)} == {attempt.put()}
    assert len(ledger.read_attempts(output)) == 2


def test_a_process_that_ends_on_request_begins_nothing_more(head: Head) -> None:
    """While it waits for its record, the thread that works would go on to the next batch, and leave a note of it."""
    output, planned = new_output(), rows(1)
    leaving = ledger._handover
    leaving.leave()
    begun: list[bool] = []
    worker = threading.Thread(
        target=lambda: begun.append(leaving.begins(Ledger(output)._attempt("optimise", planned))), daemon=True
    )
    worker.start()
    worker.join(0.1)
    assert (worker.is_alive(), begun, head.notes) == (True, [], {})
    next_batch = threading.Thread(target=lambda: begun.append(bool(Ledger(output).take_up("x", planned))), daemon=True)
    next_batch.start()
    next_batch.join(0.1)
    assert (next_batch.is_alive(), begun) == (True, [])


def test_notes_that_cannot_be_read_are_not_written_over(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    output, planned = new_output(), rows(2)
    crash_at(head, output, planned)
    before, call = dict(head.notes), handover._call

    def silent(verb: str, *data: str) -> Any:
        if verb == "get":
            raise handover._NoNotes
        return call(verb, *data)

    monkeypatch.setattr(handover, "_call", silent)
    assert isolate_crashes(Ledger(output), "optimise", planned, work=done, refuse=refuse) == [["ok"] * 2]
    assert head.notes == before
    monkeypatch.setattr(handover, "_call", call)
    assert isolate_crashes(Ledger(output), "optimise", planned, work=done, refuse=refuse) == [["ok"]] * 2


def test_where_notes_cannot_be_read_storage_is_asked(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    output, planned = new_output(), rows(2)
    Ledger(output).record("optimise", planned)

    def silent(verb: str, *data: str) -> Any:
        raise handover._NoNotes

    monkeypatch.setattr(handover, "_call", silent)
    assert isolate_crashes(Ledger(output), "optimise", planned, work=done, refuse=refuse) == [["ok"]] * 2
