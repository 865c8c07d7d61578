"""A plan as several datasets of Ray Data, so that the driver's memory does not grow with the plan."""

import itertools
import math
import pickle
from collections.abc import Callable, Iterator, Sequence

import ray.data

from pipeline.planning import Batch, Fetched

PART, PART_PER_ACTOR = 10_000, 1_000
"""Batches of one dataset, at least and for each actor. Ray Data keeps statistics of every block until a dataset is
through, about 4 kB for a batch; each further part costs a start of the actors, a quarter of a minute."""

SHARDS = 1_000
"""Blocks that a dataset begins with. In a long part each has several batches, which one task fetches one after the
other; each leaves it as a block of its own. Submitting a task costs a driver as much as all else for a batch."""


def plan_parts(batches: Sequence[Batch], actors: int) -> Iterator[Sequence[Batch]]:
    """Return a plan in order, in parts that are long enough to be worth starting so many actors for."""
    return _evenly(batches, max(PART, PART_PER_ACTOR * actors))


def dataset(part: Sequence[Batch]) -> ray.data.Dataset:
    """Return a dataset whose rows are shards, pickled tuples of batches, each a block of its own."""
    size = math.ceil(len(part) / SHARDS)
    shards = [{"shard": pickle.dumps(tuple(shard))} for shard in _evenly(part, size)]
    return ray.data.from_items(shards, override_num_blocks=len(shards))


def fetching(fetch: Callable[[Batch], Fetched]) -> Callable[[dict[str, bytes]], Iterator[dict[str, bytes]]]:
    """Return a stage that fetches the batches of a shard, each of which flows on as soon as it is fetched."""

    def each(row: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
        for batch in pickle.loads(row["shard"]):
            yield {"batch": pickle.dumps(fetch(batch))}

    return each


def _evenly(batches: Sequence[Batch], most: int) -> Iterator[Sequence[Batch]]:
    """Return batches in order, in as few parts as have `most` batches at most, of about equal length."""
    parts = math.ceil(len(batches) / most)
    ends = [len(batches) * part // parts for part in range(parts + 1)] if parts else []
    return (batches[start:end] for start, end in itertools.pairwise(ends))
