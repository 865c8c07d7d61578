"""A plan as datasets: every batch once and in order, in parts that are worth starting actors, in shards of a part."""

import math
import pickle
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from nst_kernel import StyleParams
from pipeline.flow import plan_parts
from pipeline.manifest.row import Row
from pipeline.outputs.provenance import now
from pipeline.planning.batch import Batch, Fetched, PlannedRow


def batches(count: int) -> list[Batch]:
    row = Row("x", "/c.png", "/s.png", "x.png", StyleParams(), "rows.csv", 1)
    return [Batch((PlannedRow(row, f"{number}", (16, 16)),)) for number in range(count)]


@given(st.integers(0, 300), st.integers(1, 40), st.integers(0, 20), st.integers(1, 5))
def test_parts_are_a_plan_in_order(count: int, part: int, per_actor: int, actors: int) -> None:
    work = batches(count)
    with patch.multiple(plan_parts, PART=part, PART_PER_ACTOR=per_actor):
        found = list(plan_parts.plan_parts(work, actors))
    assert [batch for some in found for batch in some] == work
    most = max(part, per_actor * actors)
    assert len(found) == math.ceil(count / most)
    assert all(len(some) <= most for some in found)
    assert not found or max(map(len, found)) - min(map(len, found)) <= 1


@given(st.integers(1, 40), st.integers(1, 12))
def test_a_part_is_opened_batch_by_batch(count: int, shards: int) -> None:
    work = batches(count)
    seen: list[list[dict[str, bytes]]] = []
    with patch.object(plan_parts, "SHARDS", shards), patch("ray.data.from_items") as from_items:
        plan_parts.dataset(work)
        seen.append(from_items.call_args.args[0])
        assert from_items.call_args.kwargs == {"override_num_blocks": len(seen[0])}
    assert len(seen[0]) <= shards
    fetched: list[Batch] = []

    def fetch(batch: Batch) -> Fetched:
        fetched.append(batch)
        return Fetched(batch, (), now(), 0.0, ())

    opened = plan_parts.fetching(fetch)
    out = []
    for row in seen[0]:
        for flowing in opened(row):
            out.append(pickle.loads(flowing["batch"]).batch)
            assert out == fetched  # none is read before the one before it flows on
    assert out == work
