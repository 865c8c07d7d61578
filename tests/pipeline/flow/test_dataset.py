"""The driver of a run: batches from the queue, outcomes as they come, and how it ends; Ray Data is a loop here."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from nst_kernel import StyleParams
from pipeline.cluster import ActorPool
from pipeline.flow import batch_queue, dataset
from pipeline.flow.batch_queue import AT_HAND, TOGETHER, BatchQueue, Work, reading
from pipeline.flow.dataset import PlanBroken, RunBroken, TooManyFailures, flow
from pipeline.manifest.row import Row
from pipeline.options import RunOptions
from pipeline.outputs.provenance import now
from pipeline.planning.batch import Batch, Failure, Fetched, PlannedRow
from pipeline.recovery import Ledger, repeats
from pipeline.stages import Writer
from tests.support.local_actors import Killed, LocalRay

POOL = ActorPool(1, 1, 0, 1)


def batch(number: int, failure: Failure | None = None) -> Batch:
    row = Row(f"{number}", "/c.png", "/s.png", "x.png", StyleParams(), "rows.csv", 1)
    return Batch((PlannedRow(row, f"{number}", (16, 16), failure),))


def batches(*numbers: int) -> list[Batch]:
    return [batch(number) for number in numbers]


class NoMerging(contextlib.ExitStack):
    """Leaves parts of results as they are."""

    def __init__(self, output: str, pool: ActorPool) -> None:
        super().__init__()

    def part_is_there(self) -> None:
        pass


class Loop:
    """Stages that one reader goes through, batch by batch, in the place of Ray Data.

    Attributes:
        queues: of each dataset.
        pools: of each dataset.
        before: is called before each batch is passed on, with its number.
    """

    def __init__(self, ray: LocalRay) -> None:
        self.ray, self.queues = ray, list[BatchQueue]()
        self.pools: list[ActorPool] = []
        self.before: Callable[[int], None] = lambda number: None

    def stages(
        self, queue: BatchQueue, options: RunOptions, writer: Any, pool: ActorPool, notes: Ledger, kernel: Any
    ) -> Any:
        self.queues.append(queue)
        self.pools.append(pool)
        return SimpleNamespace(iter_rows=lambda: self._rows(queue.server))

    def wait_for_error(self, number: int) -> None:
        """Wait until planning has failed."""
        deadline = time.monotonic() + 30
        while self.queues[-1].error is None and time.monotonic() < deadline:
            time.sleep(0.001)

    def _rows(self, server: Any) -> Iterator[dict[str, Any]]:
        for block in reading(lambda one: Fetched(one, (), now(), 0.0, ()), server)({"reader": 0}):
            self.before(int(block["rows"][0]))
            yield {"batch": block["batch"], "outcomes": [{"id": id} for id in block["rows"]]}


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    ray = LocalRay()
    one = Loop(ray)
    monkeypatch.setattr(batch_queue, "ray", ray)
    monkeypatch.setattr(dataset, "_stages", one.stages)
    monkeypatch.setattr(dataset, "Merging", NoMerging)
    monkeypatch.setattr(repeats, "begun_before", lambda: False)
    return one


def ids(work: Work, pool: ActorPool = POOL, *, into: list[str] | None = None) -> list[str]:
    """The rows of some work in the order of their outcomes."""
    found: list[str] = [] if into is None else into
    for row in flow(work, RunOptions(), Writer("out", encoder="vgg", encoder_sha256="0"), pool, Ledger("out")):
        found.append(row["id"])
    return found


def slices(*parts: Sequence[Batch], then: BaseException | None = None) -> Iterator[Sequence[Batch]]:
    yield from parts
    if then:
        raise then


def test_every_batch_of_every_slice_comes_to_its_outcome(loop: Loop) -> None:
    assert ids(Work(batches(0, 1), slices(batches(2), [], batches(3, 4)))) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("error", [PlanBroken("the disk is gone"), ValueError("the disk is gone")])
def test_what_is_at_work_is_finished_before_a_plan_that_broke_is_told(loop: Loop, error: Exception) -> None:
    found: list[str] = []
    loop.before = loop.wait_for_error
    with pytest.raises(RunBroken, match="the disk is gone") as raised:
        ids(Work(batches(0, 1), slices(batches(2), then=error)), into=found)
    assert found == ["0", "1", "2"]
    assert raised.value is error or raised.value.__cause__ is error


def test_a_hopeless_run_stops_without_what_waits(loop: Loop) -> None:
    loop.before = loop.wait_for_error
    found: list[str] = []
    with pytest.raises(TooManyFailures):
        ids(Work(batches(0, 1, 2), slices(then=TooManyFailures("too many"))), into=found)
    assert found == ["0"]


def test_an_error_of_a_stage_breaks_the_run(loop: Loop) -> None:
    def broken(number: int) -> None:
        raise OSError("the network is gone")

    loop.before = broken
    with pytest.raises(RunBroken, match="OSError: the network is gone"):
        ids(Work(batches(0)))


def test_a_queue_that_ends_with_its_process_breaks_the_run(loop: Loop) -> None:
    """The driver's thread may see it sooner than the readers do, whose error comes out of the dataset."""

    def kill(number: int) -> None:
        loop.ray.kill(loop.ray.actors[0])

    loop.before = kill
    with pytest.raises(RunBroken) as raised:
        ids(Work(batches(*range(40))))
    assert isinstance(raised.value.__cause__, Killed)


def test_rows_for_the_largest_gpus_are_computed_there(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    larger = ActorPool(1, 1, 1, None, selector={"kind": "large"})
    pool = ActorPool(1, 1, 1, None, larger=larger)
    monkeypatch.setattr(ActorPool, "holds", lambda _, one: int(one.rows[0].row.id) % 2 == 0)
    assert ids(Work(batches(0, 1, 2), slices(batches(3, 4))), pool) == ["0", "2", "4", "1", "3"]
    assert loop.pools == [pool, larger]


def test_actors_have_enough_to_begin_with_where_much_is_for_others(loop: Loop) -> None:
    taken = iter([batches(1, 3), batches(4, 6), batches(8)])
    work, others = batch_queue.divided(Work(batches(0, 5), taken), lambda one: int(one.rows[0].row.id) % 2 == 0, 2)
    assert list(work.first) == batches(0, 4, 6)
    assert list(work) == batches(0, 4, 6, 8)
    assert others == batches(5, 1, 3)


def test_batches_that_fail_at_planning_are_not_what_is_usual() -> None:
    refused = [batch(number, Failure("Oops", "no")) for number in range(5)]
    assert Work([*batches(0), *refused]).usual == Work(batches(0)).usual > 0
    assert Work([*refused, *batches(0)]).usual == Work(batches(0)).usual  # of a slice before
    assert Work(refused).usual == 0


def test_not_more_batches_wait_than_readers_need(loop: Loop) -> None:
    """Those that are to come are planned as the others are computed."""
    planned: list[int] = []

    def later() -> Iterator[Sequence[Batch]]:
        for number in range(1, 100):
            planned.append(number)
            yield batches(number)

    ahead: list[int] = []
    loop.before = lambda number: ahead.append(len(planned) - number)
    ids(Work(batches(0), later()))
    assert max(ahead) <= AT_HAND * 1 + 2


def test_no_batch_waits_until_the_next_slice_is_planned(loop: Loop) -> None:
    """However few a slice has, they are computed while the next one is listed, which takes long."""
    go_on = threading.Event()

    def later() -> Iterator[Sequence[Batch]]:
        for number in range(1, 4):
            yield batches(number)
            assert go_on.wait(30)
            go_on.clear()

    loop.before = lambda number: go_on.set()
    assert ids(Work(batches(0), later())) == ["0", "1", "2", "3"]


def test_each_reader_may_wait_in_a_call_and_others_get_through(loop: Loop) -> None:
    """Ray lets a thousand calls of an actor wait at a time, unless it is told how many."""
    with BatchQueue(Work(batches(0), iter([])), 2000, lambda _: 1.0):
        (server,) = loop.ray.actors
        assert server.options["max_concurrency"] > 2 * 2000
    assert server.is_killed


def test_batches_that_are_done_are_forgotten(loop: Loop) -> None:
    count = 2 * TOGETHER
    ids(Work(batches(*range(count))))
    assert loop.ray.actors[0].actor.state.batches == {}


def test_nothing_is_planned_any_more_once_a_run_is_over(loop: Loop) -> None:
    """A listing that goes on would write into an output that another run has taken over."""
    begun, go_on, taken = threading.Event(), threading.Event(), list[int]()

    def later() -> Iterator[Sequence[Batch]]:
        for number in range(1, 4):
            taken.append(number)
            begun.set()
            assert go_on.wait(30)
            yield batches(number)

    def stop(number: int) -> None:
        begun.wait(30)
        threading.Timer(0.05, go_on.set).start()
        raise KeyboardInterrupt

    loop.before = stop
    with pytest.raises(KeyboardInterrupt):
        ids(Work(batches(0), later()))
    assert taken == [1]
    assert not any(thread.name == "batch queue" for thread in threading.enumerate())
