"""Blocks of batches: short batches flow together, long ones alone, and what becomes of each is the same."""

import dataclasses
import pickle
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_kernel import StyleParams
from pipeline.cluster import ActorPool
from pipeline.flow import blocks
from pipeline.manifest.row import Row
from pipeline.outputs.provenance import now
from pipeline.planning import cost
from pipeline.planning.batch import Batch, Failure, Fetched, Optimised, PlannedRow

POOL = ActorPool(8, 1, 0, 1)


def batch(*ids: str, side: int = 64, iterations: tuple[int, ...] = (10,), failure: Failure | None = None) -> Batch:
    params = StyleParams(iterations=iterations)
    rows = [Row(id, "/c.png", "/s.png", "x.png", params, "rows.csv", 1) for id in ids]
    return Batch(tuple(PlannedRow(row, row.id, (side, side), failure) for row in rows))


def fetch(batch: Batch) -> Fetched:
    return Fetched(batch, (), now(), 0.0, ())


def optimise(fetched: Fetched) -> Optimised:
    return Optimised(fetched, (), "stub", "fp32", 0.0, 0.0)


def write(optimised: Optimised) -> list[dict[str, Any]]:
    return [{"id": planned.row.id} for planned in optimised.fetched.batch.rows]


@given(st.lists(st.tuples(st.lists(st.text("ab", min_size=1), min_size=1), st.booleans()), min_size=1))
def test_each_row_of_a_block_that_is_not_done_comes_to_its_outcome(batches: Sequence[tuple[list[str], bool]]) -> None:
    given = [(number, b"" if is_done else pickle.dumps(batch(*ids))) for number, (ids, is_done) in enumerate(batches)]
    left = [id for ids, is_done in batches if not is_done for id in ids]
    block = blocks.fetched(given, fetch)
    assert block["rows"] == left
    block = blocks.written(blocks.optimised(block, optimise), write)
    assert block == {
        "batch": [*range(len(batches))],
        "rows": left,
        "outcomes": [{"id": id} for id in left],
    }


def test_a_long_batch_is_a_block_of_its_own() -> None:
    long = batch("a", side=512, iterations=(500,))
    assert blocks.share_of_block(long, POOL) == 1


def test_the_more_actors_there_are_the_longer_is_a_block() -> None:
    """So that the driver keeps up with them: it has as long for each block as the actors have together."""
    one = batch("a", side=128, iterations=(20,))
    few, many = (blocks.share_of_block(one, ActorPool(count, 1, 0, 1)) for count in (400, 1600))
    assert few == pytest.approx(4 * many)
    seconds = cost.work(one.rows) / POOL.multiply_adds
    assert many * 1600 * blocks.DRIVER_SECONDS == pytest.approx(seconds * blocks.DRIVER_SHARE)


def test_a_block_has_only_so_many_pixels() -> None:
    large = batch("a", "b", side=4096, iterations=(1,))
    assert blocks.share_of_block(large, ActorPool(10**6, 1, 0, 1)) == 2 * 4096**2 / blocks.PIXELS


def test_a_block_has_only_so_many_batches() -> None:
    (refused,) = batch("a", failure=Failure("Oops", "no")).rows
    without_shape = Batch((dataclasses.replace(refused, shape=None),))
    tiny = batch("a", side=16, iterations=(1,))
    many = ActorPool(10**9, 1, 0, 1)
    assert blocks.share_of_block(tiny, many) == 1 / blocks.BATCHES
    assert blocks.share_of_block(without_shape, many) == 1 / blocks.BATCHES
