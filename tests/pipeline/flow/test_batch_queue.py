"""Batches handed to readers: each to one, all of them, and again what a reader had when its task is repeated."""

import itertools
import pickle
import threading
from collections.abc import Iterator, Sequence
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
        self.state = QueueState(readers=1)
        for name in ("add", "complete", "take", "had", "done"):
            setattr(self, name, SimpleNamespace(remote=getattr(self, f"_{name}")))

    def _add(self, some: list[tuple[bytes, float]]) -> None:
        self.state.add(some)

    def _complete(self) -> None:
        self.state.complete = True

    def _take(self, reader: int, place: int) -> list[tuple[int, bytes]] | None:
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


def filled(server: Any, work: Work, share: float = 1.0) -> BatchQueue:
    """A queue whose batches have been handed over to a server."""
    one = object.__new__(BatchQueue)
    one.server, one.work, one.error, one._is_over, one._done = server, work, None, threading.Event(), []
    one.share_of_block = lambda _: share
    one._hand_over()
    return one


def fetch(batch: Batch) -> Fetched:
    return Fetched(batch, (), now(), 0.0, ())


SHARES = st.lists(st.sampled_from([1 / 16, 0.3, 0.5, 1.0]), max_size=30)
"""How much of a block each of some batches fills."""


@given(SHARES, st.lists(st.integers(0, 2), max_size=40))
def test_each_batch_goes_to_one_reader_and_to_the_same_place_again(shares: list[float], asks: list[int]) -> None:
    state = QueueState(readers=3)
    state.add((bytes([number]), share) for number, share in enumerate(shares))
    state.complete = True
    got: dict[int, list[list[tuple[int, bytes]]]] = {0: [], 1: [], 2: []}
    for reader in [*asks, *([0] * (len(shares) + 1))]:
        got[reader] += [block for block in [state.take(reader, len(got[reader]))] if block is not None]
    found = [one for blocks in got.values() for block in blocks for one in block]
    assert sorted(found) == [(number, bytes([number])) for number in range(len(shares))]
    for reader, blocks in got.items():  # as when its task is repeated
        assert [state.take(reader, place) for place in range(len(blocks) + 1)] == [*blocks, None]


@given(SHARES.filter(bool), st.integers(1, 4))
def test_a_block_is_never_more_than_full_and_leaves_some_for_the_other_readers(
    shares: list[float], readers: int
) -> None:
    state = QueueState(readers)
    state.add((b"", share) for share in shares)
    left = len(shares)
    for place in range(len(shares)):
        if (block := state.take(0, place)) is None:
            break
        filled = [shares[number] for number, _ in block]
        assert len(block) == 1 or (sum(filled) <= 1 and len(block) <= -(-left // readers))
        left -= len(block)
        # Nothing that would have been as good is left.
        if state.waiting and len(block) < -(-(left + len(block)) // readers):
            assert sum(filled) + state.waiting[0][1] > 1
    assert left == 0
    assert state.blocks == 0


def test_a_reader_waits_until_it_is_known_what_it_gets() -> None:
    state = QueueState(readers=1)
    assert not state.is_ready(0, 0)
    state.add([(b"a", 1.0)])
    assert state.is_ready(0, 0)
    state.take(0, 0)
    assert state.is_ready(0, 0)
    assert not state.is_ready(0, 1)
    state.complete = True
    assert state.is_ready(0, 1)


def test_what_is_done_takes_no_memory_and_is_not_fetched_again(server: Server) -> None:
    filled(server, Work(batches(4)), share=0.5)
    read: list[Batch] = []

    def noting(batch: Batch) -> Fetched:
        read.append(batch)
        return fetch(batch)

    first = list(reading(noting, server)({"reader": 0}))
    assert [block["batch"] for block in first] == [[0, 1], [2, 3]]
    assert read == batches(4)
    server.state.done([0, 1, 2])
    assert list(server.state.batches) == [3]
    again = list(reading(noting, server)({"reader": 0}))
    assert [list(map(bool, block["fetched"])) for block in again] == [[False, False], [False, True]]
    assert read[4:] == batches(4)[3:]


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

    for number, block in enumerate(reading(noting, server)({"reader": 0})):
        assert [pickle.loads(one).batch for one in block["fetched"]] == [batches(2)[number]]
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


class InTheOutput(Sequence[Batch]):
    """Batches of a plan that lies in the output: each is read when it is asked for."""

    def __init__(self, count: int) -> None:
        self.batches, self.most = batches(count), 0

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, place: Any) -> Any:
        asked = self.batches[place]
        self.most = max(self.most, len(asked) if isinstance(place, slice) else 1)
        return asked


def test_of_a_plan_in_the_output_few_batches_are_read_at_a_time() -> None:
    first, later = InTheOutput(100), InTheOutput(70)
    assert [one for some in batch_queue._together(Work(first, [later])) for one in some] == batches(100) + batches(70)
    assert max(first.most, later.most) <= batch_queue.TOGETHER
    assert batch_queue.divided(Work(first), lambda batch: True, 1)[0].first is first


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
    for number in range(0, 40, 2):
        one.done([number, number + 1])
    assert list(server.state.batches) == list(range(32, 40))
