"""Attempts of actors are recorded by a thread, while rows are worked on."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from pipeline import storage
from pipeline.outputs import provenance
from pipeline.planning import Batch, Failure, Fetched, Optimised, Pictures
from pipeline.recovery import Ledger, guarded_optimise, ledger
from pipeline.recovery.guard import isolate_crashes
from pipeline.storage import Store
from tests.pipeline.recovery.conftest import PATIENCE, Head, rest
from tests.pipeline.recovery.test_first_attempts import asked, done
from tests.pipeline.recovery.test_ledger import new_output, refuse, rows


class Gated:
    """A store far away: requests of some kinds wait until a test lets them through, and their order is noted."""

    def __init__(self, *verbs: str) -> None:
        self.gates = {verb: threading.Event() for verb in verbs}
        self.done: list[str] = []

    def __call__(self, _: str, store: Store) -> Any:
        gated = self

        class Through:
            def __getattr__(self, verb: str) -> Callable[..., Any]:
                def request(*arguments: Any) -> Any:
                    assert gated.gates.get(verb, _OPEN).wait(PATIENCE)
                    answer = getattr(store, verb)(*arguments)
                    gated.done.append(verb)
                    return answer

                return request

        return Through()


_OPEN = threading.Event()
_OPEN.set()


@contextlib.contextmanager
def far(*verbs: str) -> Iterator[Gated]:
    """Have requests of these kinds wait within this block; at its end all are let through."""
    gated = Gated(*verbs)
    undo = storage.intercept(gated)
    try:
        yield gated
    finally:
        for gate in gated.gates.values():
            gate.set()
        undo()


def test_work_begins_while_its_record_is_on_its_way_and_is_passed_on_once_that_is_there(head: Head) -> None:
    output = new_output()
    with far("write_if", "remove") as store:

        def work(places: Sequence[int]) -> list[str]:
            assert store.done == []
            store.gates["write_if"].set()
            return done(places)

        assert isolate_crashes(Ledger(output), "optimise", rows(3), work=work, refuse=refuse) == [["ok"] * 3]
        assert store.done == ["write_if"]
        assert len(ledger.read_attempts(output)) == 1
    rest()
    assert ledger.read_attempts(output) == []
    assert head.notes == {}


def test_without_an_actor_work_waits_for_its_record(head: Head) -> None:
    """Nobody takes the place of a process that is none, and so nobody would know of its crash."""
    head.actor = ""
    output = new_output()

    def work(places: Sequence[int]) -> list[str]:
        assert len(ledger.read_attempts(output)) == 1
        return done(places)

    with asked() as noted:
        isolate_crashes(Ledger(output), "optimise", rows(3), work=work, refuse=refuse)
        assert noted[0] == "write_if"
        assert noted[-1] == "remove"


class Refusing:
    """A store that refuses requests of one kind."""

    def __init__(self, store: Store, refused: str) -> None:
        self.store, self.refused = store, refused

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def no(*_: Any) -> Any:
            raise PermissionError(13, "not allowed")

        return no if verb == self.refused else getattr(self.store, verb)


@contextlib.contextmanager
def refusing(verb: str) -> Iterator[None]:
    """Have requests of a kind be refused within this block."""
    undo = storage.intercept(lambda _, store: Refusing(store, verb))
    try:
        yield
    finally:
        undo()


def test_a_batch_whose_record_cannot_be_written_is_not_passed_on(head: Head) -> None:
    with refusing("write_if"), pytest.raises(storage.StorageError, match="no permission"):
        isolate_crashes(Ledger(new_output()), "optimise", rows(2), work=done, refuse=refuse)
    assert head.notes == {}


def test_a_record_that_cannot_be_deleted_is_an_error_of_the_next_batch(head: Head) -> None:
    output, (one, other) = new_output(), rows(2)
    with refusing("remove"):
        isolate_crashes(Ledger(output), "optimise", [one], work=done, refuse=refuse)
        rest()
    with pytest.raises(storage.StorageError, match="no permission"):
        isolate_crashes(Ledger(output), "optimise", [other], work=done, refuse=refuse)


def test_an_error_of_the_work_is_told_and_its_record_deleted(head: Head) -> None:
    def work(_: Sequence[int]) -> list[str]:
        raise ValueError("oops")

    output = new_output()
    with pytest.raises(ValueError, match="oops"):
        isolate_crashes(Ledger(output), "optimise", rows(2), work=work, refuse=refuse)
    rest()
    assert ledger.read_attempts(output) == []
    assert head.notes == {}


def test_rows_that_a_process_is_given_twice_do_not_meet_their_own_record(head: Head) -> None:
    """Their result was lost with its node, while the record of the first time was being deleted."""
    output, planned = new_output(), rows(3)
    with far("remove") as store:
        isolate_crashes(Ledger(output), "optimise", planned, work=done, refuse=refuse)

        def work(places: Sequence[int]) -> list[str]:
            time.sleep(0.2)  # in which a thread that did not wait would have made its request
            assert store.done == ["write_if"]
            store.gates["remove"].set()
            return done(places)

        assert isolate_crashes(Ledger(output), "optimise", planned, work=work, refuse=refuse) == [["ok"] * 3]
        rest()
        assert store.done == ["write_if", "remove", "write_if", "remove"]
    assert ledger.read_attempts(output) == []


def test_an_attempt_that_meets_another_has_a_record_of_its_own(head: Head) -> None:
    output, planned = new_output(), rows(2)
    Ledger(output).record("optimise", planned)  # by a name that nobody meets
    Ledger(output)._attempt("optimise", planned, first=True).put()

    def work(places: Sequence[int]) -> list[str]:
        rest()
        assert len(ledger.read_attempts(output)) == 3
        return done(places)

    isolate_crashes(Ledger(output), "optimise", planned, work=work, refuse=refuse)
    rest()
    assert len(ledger.read_attempts(output)) == 2


def test_requests_of_the_thread_that_were_repeated_count_with_the_batch(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NST_STORAGE_FIRST_DELAY", "0")

    def optimise(part: Fetched) -> Optimised:
        return Optimised(part, (Failure("Oops", "x"),) * 2, "cpu", "fp32", seconds=1.0)

    fetched = Fetched(Batch(tuple(rows(2))), (Pictures(),) * 2, provenance.now(), seconds=1.0, row_retries=(0, 0))
    with asked("write_if"):
        optimised = guarded_optimise(optimise, Ledger(new_output()))(fetched)
    assert optimised.fetched.batch_retries == 1


def test_a_process_that_ends_on_request_leaves_neither_record_nor_note(head: Head) -> None:
    output, planned = new_output(), rows(2)
    with far("write_if") as store:

        def work(places: Sequence[int]) -> list[str]:
            leaving = threading.Thread(target=ledger.withdraw_own)
            leaving.start()
            while head.notes:  # it waits for the record then
                leaving.join(0.001)
            store.gates["write_if"].set()
            leaving.join(PATIENCE)
            assert store.done == ["write_if", "remove"]
            return done(places)

        isolate_crashes(Ledger(output), "optimise", planned, work=work, refuse=refuse)
    rest()
    assert ledger.read_attempts(output) == []


def test_a_record_that_is_not_begun_when_its_process_ends_on_request_is_never_written(head: Head) -> None:
    output, (one, other) = new_output(), rows(2)
    with far("remove") as store:
        isolate_crashes(Ledger(output), "optimise", [one], work=done, refuse=refuse)

        def work(places: Sequence[int]) -> list[str]:
            leaving = threading.Thread(target=ledger.withdraw_own)
            leaving.start()
            while head.notes:
                leaving.join(0.001)
            store.gates["remove"].set()
            leaving.join(PATIENCE)
            return done(places)

        isolate_crashes(Ledger(output), "optimise", [other], work=work, refuse=refuse)
        rest()
        assert store.done.count("write_if") == 1
    assert ledger.read_attempts(output) == []
