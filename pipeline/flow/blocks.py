"""Blocks of a run's dataset: how many batches flow through the stages together, and the columns that they flow in.

A block costs the driver the same whatever is in it, nearly all of it in Ray Data's loop. Long batches are blocks of
their own, so that they spread over the actors and finish one by one; short ones share a block, so that the driver keeps
up with any number of actors.
"""

import pickle
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.cluster import ActorPool
from pipeline.planning import Batch, Fetched, Optimised, cost

BATCHES = 16
"""Batches of a block at most: after a crash they are all taken for suspects."""

PIXELS = 2**26
"""Pixels of the outputs of a block that has several batches, at most: 200 MB as they are fetched."""

DRIVER_SECONDS = 0.014
"""CPU that a block takes of the driver (`tests/bench/results/scale.json`)."""

DRIVER_SHARE = 0.5
"""Share of a core that a driver may need for blocks while all actors are at work."""

Block = dict[str, Any]
"""A row of the dataset. From stage to stage it has these columns:

`batch`
    numbers of its batches, in the order of the plan.
`rows`
    ids of all their rows.
`fetched`, then `optimised`
    what the stage before has made of each batch: a `Fetched` or an `Optimised`, pickled, as they have pictures and
    parameters in them; empty for a batch that was done before its reader died.
`outcomes`, in the end, in the place of these
    for each row what `Writer` returns.
"""


def share_of_block(batch: Batch, pool: ActorPool) -> float:
    """Return how much of a block a batch fills, more than 0 and at most 1.

    Args:
        batch: any.
        pool: the actors: the more there are, the longer a block must be for the driver to keep up with them.
    """
    least = pool.count * DRIVER_SECONDS / DRIVER_SHARE
    seconds = 0.0 if batch.is_refused else cost.work(batch.rows) / pool.multiply_adds
    pixels = sum(height * width for height, width in (planned.shape or (0, 0) for planned in batch.rows))
    return min(1.0, max(seconds / least, pixels / PIXELS, 1 / BATCHES))


def fetched(batches: Sequence[tuple[int, bytes]], fetch: Callable[[Batch], Fetched]) -> Block:
    """Return a block whose batches are fetched.

    Args:
        batches: number of each, and itself, pickled; empty: it is done.
        fetch: fetches one.
    """
    made = [fetch(pickle.loads(batch)) if batch else None for _, batch in batches]
    return {
        "batch": [number for number, _ in batches],
        "rows": [planned.row.id for one in made if one for planned in one.batch.rows],
        "fetched": [pickle.dumps(one) if one else b"" for one in made],
    }


def optimised(block: Block, optimise: Callable[[Fetched], Optimised]) -> Block:
    """Return a block whose batches are optimised, of one whose batches are fetched."""
    made = [pickle.dumps(optimise(pickle.loads(one))) if one else b"" for one in block.pop("fetched")]
    return block | {"optimised": made}


def written(block: Block, write: Callable[[Optimised], list[dict[str, Any]]]) -> Block:
    """Return a block whose batches are written, of one whose batches are optimised."""
    outcomes = [row for one in block.pop("optimised") if one for row in write(pickle.loads(one))]
    return block | {"outcomes": outcomes}
