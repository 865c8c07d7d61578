"""Batches handed to readers: each to one, all of them, and again what a reader had when its task is repeated."""

import itertools
import pickle
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st

from nst_kernel import StyleParams
from pipeline.flow import batch_queue
from pipeline.flow.batch_queue import BatchQueue, QueueState, Work, reading
from pipeline.manifest.row import Row
from pipeline.outputs.provenance import now
from pipeline.planning.batch import Batch, Fetched, PlannedRow
from pipeline.recovery import repeats


def batches(count: int) -> list[Batch]:
    row = Row("x", "/c.png", "/s.png", "x.png", StyleParams(), "rows.csv", 1)
    return [Batch((PlannedRow(row, f"{number}", (16, 16)),)) for number in range(count)]


class Server:
    """The queue's actor as its readers and its driver see it: `ray.get` returns what is called."""

    def __init__(self) -> None:
        self.state = QueueState()
        for name in ("add", "complete", "take", "had", "done"):
            setattr(self, name, SimpleNamespace(remote=getattr(self, f"_{name}")))

    def _add(self, some: list[bytes]) -> None:
        self.state.add(some)

    def _complete(self) -> None:
        self.state.complete = True

    def _take(self, reader: int, place: int) -> tuple[int, bytes] | None:
        assert self.state.is_ready(reader, place)
        return self.state.take(reader, place)

    def _had(self, reader: int) -> int:
        return self.state.had(reader)

    def _done(self, numbers: list[int]) -> None:
        self.state.done(numbers)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(ray, "get", lambda value: value)
    return Server()


def filled(server: Any, work: Work) -> BatchQueue:
    """A queue whose batches have been handed over to a server."""
    one = object.__new__(BatchQueue)
    one.server, one.work, one.error, one._is_over, one._done = server, work, None, threading.Event(), []
    one._hand_over()
    return one


def fetch(batch: Batch) -> Fetched:
    return Fetched(batch, (), now(), 0.0, ())


@given(st.integers(0, 12), st.lists(st.integers(0, 2), max_size=40))
def test_each_batch_goes_to_one_reader_and_to_the_same_place_again(count: int, asks: list[int]) -> None:
    state = QueueState()
    state.add(bytes([number]) for number in range(count))
    state.complete = True
    got: dict[int, list[tuple[int, bytes] | None]] = {0: [], 1: [], 2: []}
    for reader in [*asks, *([0] * (count + 1))]:
        got[reader].append(state.take(reader, len([one for one in got[reader] if one])))
    found = [one for each in got.values() for one in each if one]
    assert sorted(found) == [(number, bytes([number])) for number in range(count)]
    for reader, each in got.items():  # as when its task is repeated
        there = [one for one in each if one]
        assert [state.take(reader, place) for place in range(len(there) + 1)] == [*there, None]


def test_a_reader_waits_until_it_is_known_what_it_gets() -> None:
    state = QueueState()
    assert not state.is_ready(0, 0)
    state.add([b"a"])
    assert state.is_ready(0, 0)
    state.take(0, 0)
    assert state.is_ready(0, 0)
    assert not state.is_ready(0, 1)
    state.complete = True
    assert state.is_ready(0, 1)


def test_what_is_done_takes_no_memory_and_is_not_fetched_again(server: Server) -> None:
    filled(server, Work(batches(3)))
    fetched: list[Batch] = []

    def noting(batch: Batch) -> Fetched:
        fetched.append(batch)
        return fetch(batch)

    first = list(reading(noting, server)({"reader": 0}))
    assert [row["number"] for row in first] == [0, 1, 2]
    assert fetched == batches(3)
    server.state.done([0, 1])
    assert list(server.state.batches) == [2]
    again = list(reading(noting, server)({"reader": 0}))
    assert [bool(row["batch"]) for row in again] == [False, False, True]
    assert fetched[3:] == batches(3)[2:]


def test_only_what_a_crashed_reader_had_was_begun_before(server: Server) -> None:
    """A reader lasts as long as its run: what it gets after its repetition is new, and tried together."""
    filled(server, Work(batches(3)))
    begun: list[bool] = []

    def noting(batch: Batch) -> Fetched:
        begun.append(repeats.begun_before())
        return fetch(batch)

    server.state.take(0, 0)
    with repeats.telling(True):
        list(reading(noting, server)({"reader": 0}))
    assert begun == [True, False, False]
    assert not repeats.begun_before()


def test_a_batch_flows_on_before_the_next_is_fetched(server: Server) -> None:
    filled(server, Work(batches(2)))
    fetched: list[Batch] = []

    def noting(batch: Batch) -> Fetched:
        fetched.append(batch)
        return fetch(batch)

    for number, row in enumerate(reading(noting, server)({"reader": 0})):
        assert pickle.loads(row["batch"]).batch == batches(2)[number]
        assert len(fetched) == number + 1


@given(st.integers(1, 40), st.lists(st.integers(0, 40), max_size=5))
def test_batches_are_handed_over_in_order_and_planned_when_it_is_their_turn(first: int, rest: list[int]) -> None:
    work = batches(first + sum(rest))
    ends = list(itertools.accumulate(rest, initial=first))
    planned = list[int]()

    def later() -> Iterator[list[Batch]]:
        for start, end in itertools.pairwise(ends):
            planned.append(end)
            yield work[start:end]

    handed_over: list[Batch] = []
    for some in batch_queue._together(Work(work[:first], later())):
        assert 0 < len(some) <= batch_queue.TOGETHER
        assert len(some) == 1 or handed_over, "a device waits for the first"
        handed_over += some
        assert len(planned) < 2 or planned[-2] < len(handed_over), "a slice was planned before those ahead are gone"
    assert handed_over == work


def test_planning_that_fails_ends_the_queue_and_keeps_its_error(server: Server) -> None:
    def failing() -> Iterator[list[Batch]]:
        yield batches(1)
        raise ValueError("the disk is gone")

    one = filled(server, Work((), failing()))
    assert server.state.complete
    assert server.state.count == 1
    assert str(one.error) == "the disk is gone"


def test_the_driver_reports_some_batches_together(server: Server) -> None:
    one = filled(server, Work(batches(40)))
    for number in range(40):
        one.done(number)
    assert list(server.state.batches) == list(range(32, 40))
