"""The queue of a run's batches: tasks that fetch take them from it while later ones are still being planned.

Ray Data takes no stream from its driver. So the first stage of a dataset has one row for each reader, a task that takes
batches from an actor of the driver until there are none. A dataset then lasts as long as its run, and so do its actors.
Ray repeats a task from its start when its process has died, and expects what it yielded before: the queue remembers
what each reader got, and gives it the same again.
"""

import asyncio
import itertools
import math
import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.flow.blocks import Block, fetched
from pipeline.planning import Batch, Fetched, cost
from pipeline.recovery import repeats

AT_HAND = 4
"""Blocks for each reader that wait in the queue, so that none waits for the driver."""

TOGETHER = 16
"""Batches that the driver hands over, or reports as done, in one call."""

PATIENCE = 10.0
"""Seconds that the end of a run waits for the planning of what is not computed any more."""


@dataclass(frozen=True)
class Work:
    """The batches that a run computes.

    Attributes:
        first: enough for every actor, or all there are.
        rest: slices that follow; each is planned when it is taken, while others are computed.
    """

    first: Sequence[Batch]
    rest: Iterable[Sequence[Batch]] = ()

    def __iter__(self) -> Iterator[Batch]:
        return itertools.chain(self.first, itertools.chain.from_iterable(self.rest))

    @property
    def usual(self) -> float:
        """Multiply-adds of a usual batch: the one in the middle, as those of a slice come in the order of their work.

        Of batches that fail at planning nothing is computed: the nearest one that is computed is taken.
        """
        middle = len(self.first) // 2
        nearest = itertools.chain(range(middle, -1, -1), range(middle + 1, len(self.first)))
        computed = (self.first[place] for place in nearest if not self.first[place].is_refused)
        return next((cost.work(batch.rows) for batch in computed), 0.0)


def divided(work: Work, holds: Callable[[Batch], bool], enough: int) -> tuple[Work, list[Batch]]:
    """Return the batches that actors can hold, and a list of the others, which is complete once the former are taken.

    Args:
        work: the batches; further slices of them are planned until there are enough to begin with.
        holds: tells whether actors can hold a batch.
        enough: batches that all actors need.
    """
    others: list[Batch] = []

    def held(batches: Sequence[Batch]) -> Sequence[Batch]:
        """Return the batches of a slice that actors can hold, and keep the others."""
        can = [holds(batch) for batch in batches]
        if all(can):
            return batches  # which may lie in the output, and be made as they are asked for
        others.extend(itertools.compress(batches, (not one for one in can)))
        return list(itertools.compress(batches, can))

    rest = map(held, work.rest)
    first = held(work.first)
    while len(first) < enough and (part := next(rest, None)) is not None:
        first = [*first, *part]
    return Work(first, rest), others


@dataclass
class QueueState:
    """Which batches wait and which reader got which: what the actor of a queue keeps; it knows no Ray.

    Attributes:
        readers: among whom the batches are shared out.
        waiting: numbers of batches that no reader has, each with how much of a block it fills, in order.
        batches: by number, those that are not done, pickled.
        of_reader: by reader, the blocks that it got, in order, each the numbers of its batches.
        complete: whether no more batches will come.
        count: of all batches so far.
        blocks: how many blocks the batches that wait fill.
    """

    readers: int
    waiting: deque[tuple[int, float]] = field(default_factory=deque)
    batches: dict[int, bytes] = field(default_factory=dict)
    of_reader: dict[int, list[list[int]]] = field(default_factory=dict)
    complete: bool = False
    count: int = 0
    blocks: float = 0.0

    def add(self, batches: Iterable[tuple[bytes, float]]) -> None:
        """Append batches, pickled, each with how much of a block it fills."""
        for batch, share in batches:
            self.batches[self.count] = batch
            self.waiting.append((self.count, share))
            self.blocks += share
            self.count += 1

    def is_ready(self, reader: int, place: int) -> bool:
        """Return whether it is known what a reader gets at a place."""
        return place < len(self.of_reader.get(reader, ())) or bool(self.waiting) or self.complete

    def take(self, reader: int, place: int) -> list[tuple[int, bytes]] | None:
        """Return what a reader gets at a place, 0 for its first: a block's batches and numbers; None: it has got all.

        A place that was asked for before has the batches that it had, or nothing in the stead of one that is done.
        """
        got = self.of_reader.setdefault(reader, [])
        if place == len(got):
            if not self.waiting:
                return None
            got.append(self._block())
        return [(number, self.batches.get(number, b"")) for number in got[place]]

    def _block(self) -> list[int]:
        """Take the batches of a block: as many as fill it, and not more than one reader's part of those that wait."""
        most = math.ceil(len(self.waiting) / self.readers)
        number, filled = self.waiting.popleft()
        numbers = [number]
        while self.waiting and len(numbers) < most and filled + self.waiting[0][1] <= 1:
            number, share = self.waiting.popleft()
            numbers.append(number)
            filled += share
        self.blocks = self.blocks - filled if self.waiting else 0.0  # sums of shares are not exact
        return numbers

    def had(self, reader: int) -> int:
        """Return how many blocks a reader got so far."""
        return len(self.of_reader.get(reader, ()))

    def done(self, numbers: Iterable[int]) -> None:
        """Forget batches whose outcomes have reached the driver: nobody will ask for them again."""
        for number in numbers:
            self.batches.pop(number, None)


class _QueueServer:
    """The actor that holds the state of a queue; calls wait until it can answer them."""

    def __init__(self, readers: int) -> None:
        self.state = QueueState(readers)
        self.changed = asyncio.Condition()

    async def add(self, batches: list[tuple[bytes, float]]) -> None:
        """Append batches once those that wait do not fill enough blocks for all readers."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.state.blocks < AT_HAND * self.state.readers)
            self.state.add(batches)
            self.changed.notify_all()

    async def complete(self) -> None:
        """Say that no more batches will come."""
        async with self.changed:
            self.state.complete = True
            self.changed.notify_all()

    async def take(self, reader: int, place: int) -> list[tuple[int, bytes]] | None:
        """Return what `QueueState.take` returns, once it is known."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.state.is_ready(reader, place))
            taken = self.state.take(reader, place)
            self.changed.notify_all()
            return taken

    async def had(self, reader: int) -> int:
        """Return what `QueueState.had` returns."""
        return self.state.had(reader)

    async def done(self, numbers: list[int]) -> None:
        """Forget batches."""
        self.state.done(numbers)


class BatchQueue:
    """The driver's side of the queue, within a `with` block: a thread appends batches while not too many wait.

    Attributes:
        work: the batches.
        readers: tasks that take them.
        server: the actor that readers ask.
        error: why the batches ended early; None: they did not.
    """

    def __init__(self, work: Work, readers: int, share_of_block: Callable[[Batch], float]) -> None:
        """Start the actor.

        Args:
            work: the batches; they are iterated over in a thread.
            readers: tasks that take them.
            share_of_block: returns how much of a block a batch fills, more than 0 and at most 1.
        """
        self.work, self.readers, self.share_of_block = work, readers, share_of_block
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # On the node of its driver, and lost with it; it must never wait for a place.
        actor: Any = ray.remote(_QueueServer)
        # Each reader may wait in a call, and a thousand calls are as many as Ray lets wait by itself.
        self.server = actor.options(
            num_cpus=0, scheduling_strategy=here, max_concurrency=calls_at_once(readers)
        ).remote(readers)
        self.error: BaseException | None = None
        self._is_over = threading.Event()
        self._done: list[int] = []
        self._thread = threading.Thread(target=self._hand_over, name="batch queue", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._is_over.set()
        ray.kill(self.server)
        # Of what is planned late nothing is begun any more; a listing that goes on is left alone after a while.
        self._thread.join(PATIENCE)

    def done(self, numbers: Iterable[int]) -> None:
        """Note that the outcomes of some batches have arrived."""
        self._done.extend(numbers)
        if len(self._done) >= TOGETHER:
            self.server.done.remote(self._done)
            self._done = []

    def _hand_over(self) -> None:
        """Hand over every batch, and then say that these were all, however they ended."""
        try:
            for some in _together(self.work):
                if self._is_over.is_set():
                    return
                ray.get(self.server.add.remote([(pickle.dumps(batch), self.share_of_block(batch)) for batch in some]))
        except BaseException as error:  # the driver's other thread raises it
            self.error = error
        finally:
            if not self._is_over.is_set():
                self.server.complete.remote()


def _together(work: Work) -> Iterator[Sequence[Batch]]:
    """Yield the batches of some work, those of one slice some at a time, so that none waits for another to be planned.

    The first is alone, since a device waits for it.
    """
    if work.first:
        yield work.first[:1]
    for part, first in itertools.chain([(work.first, 1)], ((part, 0) for part in work.rest)):
        # Of a plan that lies in the output no more than these are read at a time.
        yield from (part[start : start + TOGETHER] for start in range(first, len(part), TOGETHER))


def calls_at_once(readers: int) -> int:
    """Return how many calls the actor of a queue must be able to answer at once, so that no reader keeps others out.

    Args:
        readers: each of which may wait for a batch, in a call, while its task is repeated and waits in another.
    """
    return 2 * readers + 16  # and those of the driver


def reading(fetch: Callable[[Batch], Fetched], server: Any) -> Callable[[dict[str, Any]], Iterator[Block]]:
    """Return a stage that takes batches from a queue and fetches them, each block of which flows on once it is fetched.

    Args:
        fetch: fetches one batch.
        server: the queue's actor.
    """

    def each(row: dict[str, Any]) -> Iterator[Block]:
        # Of a reader that is repeated, these were begun by a process that crashed; of others nothing is known.
        before = ray.get(server.had.remote(row["reader"])) if repeats.begun_before() else 0
        for place in itertools.count():
            batches = ray.get(server.take.remote(row["reader"], place))
            if batches is None:
                return
            with repeats.telling(place < before):
                block = fetched(batches, fetch)
            yield block

    return each
