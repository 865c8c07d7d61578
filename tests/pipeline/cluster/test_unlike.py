"""Clusters whose GPUs are unlike each other, are held by others, do not tell their memory, or are still to come."""

import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from nst_kernel import StyleParams
from pipeline.cluster import actor_pool as cluster
from pipeline.cluster import unlike
from pipeline.cluster.actor_pool import ActorPool
from pipeline.cluster.nodes import Node
from pipeline.flow.batch_queue import Work, divided
from pipeline.manifest.row import Row
from pipeline.options import Resources
from pipeline.planning import ASSUMED_MEMORY, Batch, Failure, PlannedRow, cost, plan

GB = 1e9


def node(free: float | None, kind: str = "", id: str = "", gpus: int = 1, precision: str = "bf16") -> Node:
    return Node(8, gpus, GB, free and free * GB, precision if free else "fp32", kind, id)


T4, H100 = node(15, "T4", "a", precision="fp32"), node(79, "H100", "b")


def rows(*sides: int) -> list[Row]:
    return [
        Row(f"r{n}", f"/{n}.png", "/s.png", f"{n}.png", StyleParams(size=side), "rows.csv", n)
        for n, side in enumerate(sides)
    ]


def planned(pool: ActorPool, *sides: int) -> Sequence[Batch]:
    return plan(
        rows(*sides),
        encoder_sha256="e",
        limits=pool.limits(),
        shape_of=lambda todo: [(row.params.size, row.params.size) for row in todo],
        identify=lambda uris: dict.fromkeys(uris, "1"),
    ).batches


def side_for(pool: ActorPool) -> int:
    """The largest square that an actor of a pool holds."""
    assert pool.memory
    params = StyleParams()
    return cost.largest_side(params, (40_000, 40_000), precision=pool.precision, available=pool.memory)


def test_what_a_small_gpu_cannot_hold_is_for_the_large_ones() -> None:
    """All rows were planned for the smallest, and those that it cannot hold failed."""
    pool = ActorPool.on([T4, H100])
    assert pool.larger is not None
    assert (pool.count, pool.larger.count) == (2, 1)
    small, large = side_for(pool), side_for(pool.larger)
    assert small < large
    batches = planned(pool, 512, small, large, large + 16)
    outcomes = {planned.row.id: planned.failure for batch in batches for planned in batch.rows}
    assert [bool(outcomes[f"r{n}"]) for n in range(4)] == [False, False, False, True]
    assert isinstance(outcomes["r3"], Failure)
    assert f"{pool.larger.memory / GB if pool.larger.memory else 0:.1f} GB" in outcomes["r3"].error
    held, others = divided(Work(batches[:1], iter([batches[1:]])), pool.holds, pool.count)
    assert [batch.rows[0].row.id for batch in held] == ["r1", "r0", "r3"]
    assert [batch.rows[0].row.id for batch in others] == ["r2"]
    assert [batch.saving for batch in others] == ["tiles"]


def test_batches_are_divided_while_they_are_planned() -> None:
    row = PlannedRow(rows(16)[0], "1", (16, 16))
    batches = [Batch((row,) * count) for count in (3, 1, 3, 1, 1)]
    held, others = divided(Work(batches[:1], ([batch] for batch in batches[1:])), lambda batch: len(batch.rows) == 1, 1)
    assert list(held.first) == [batches[1]]
    assert others == [batches[0]]
    assert len(list(held)) == 3
    assert others == [batches[0], batches[2]]
    none, all_others = divided(Work(batches[:1]), lambda _: False, 1)
    assert (list(none), all_others) == ([], batches[:1])


@pytest.mark.parametrize(
    ("nodes", "larger"),
    [
        ([H100, H100], None),
        ([node(79), node(70)], None),  # some of it is in use
        ([node(None), node(None)], None),
        ([node(None, "T4"), node(15, "T4")], None),
        ([T4, H100], {"ray.io/accelerator-type": "in(H100)"}),
        ([T4, H100, node(None, "H100", "c")], {"ray.io/accelerator-type": "in(H100)"}),
        ([node(15, "", "a"), node(79, "", "b"), node(79, "", "c")], {"ray.io/node-id": "in(b,c)"}),
        ([node(8, "H100", "a"), node(79, "H100", "b")], {"ray.io/node-id": "in(b)"}),  # others work on one
    ],
)
def test_the_largest_gpus_are_found_by_their_kind_or_one_by_one(
    nodes: list[Node], larger: dict[str, str] | None
) -> None:
    pool = ActorPool.on(nodes)
    assert pool.selector == {}
    assert (pool.larger.selector if pool.larger else None) == larger
    if pool.larger:
        assert pool.larger.actor_options["label_selector"] == larger
        assert pool.larger.larger is None
    assert "label_selector" not in pool.actor_options


def test_a_gpu_that_does_not_tell_its_memory_is_taken_for_one_of_its_kind() -> None:
    assert ActorPool.on([node(None, "H100"), node(80, "H100"), node(60, "H100")]).memory == pytest.approx(54 * GB)
    assert ActorPool.on([node(None, "T4"), node(80, "H100")]).memory == ASSUMED_MEMORY
    assert ActorPool.on([node(None, "T4")]).memory is None


def test_actors_that_share_gpus_share_the_large_ones_too() -> None:
    pool = ActorPool.on([T4, H100], Resources(actors_per_gpu=2))
    assert pool.larger is not None
    assert (pool.count, pool.larger.count) == (4, 2)
    assert pool.larger.memory == pytest.approx(0.45 * 79 * GB)
    growing = ActorPool.on([T4, H100], Resources(min_actors=2, max_actors=9)).larger
    assert growing is not None
    assert (growing.min_count, growing.count) == (1, 1)


def test_a_run_waits_for_gpus_that_its_cluster_adds_on_request(caplog: pytest.LogCaptureFixture) -> None:
    """It took the CPUs of the head and of the nodes that read, a hundred times slower, and said nothing."""
    cpus = [Node(8, 0, 8 * GB)]
    waiting = ActorPool.on(cpus, to_come=4)
    assert (waiting.num_gpus, waiting.count, waiting.min_count, waiting.memory) == (1, 4, 1, None)
    assert "--device cpu" in caplog.text
    assert ActorPool.on(cpus, Resources(device="gpu"), to_come=4) == waiting
    assert ActorPool.on(cpus, Resources(actors_per_gpu=2), to_come=4).count == 8
    assert ActorPool.on(cpus, Resources(num_actors=3), to_come=4).count == 3
    assert ActorPool.on(cpus, Resources(device="cpu"), to_come=4).num_gpus == 0
    assert ActorPool.on([*cpus, H100], to_come=4).count == 1


@pytest.mark.parametrize(
    ("says", "most"), [(None, 0), ({}, 0), ({"CPU": 8}, 0), ({"GPU": 4}, 4), ({"GPU": 2**63}, 100)]
)
def test_the_autoscaler_tells_how_many_gpus_may_come(says: Any, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlike, "state", SimpleNamespace(get_max_resources_from_cluster_config=lambda: says))
    assert unlike.gpus_to_come() == most


def test_ray_tells_what_its_autoscaler_may_add(local_ray: None) -> None:
    """A version of Ray may name it otherwise, and nobody would notice until a GPU is waited for in vain."""
    assert unlike.gpus_to_come() == 0
    pool = cluster.pool_on_cluster()
    assert not pool.num_gpus


@pytest.mark.parametrize(
    ("free", "resources", "said"),
    [
        ({"gpu": {"CPU": 8, "GPU": 2}}, {}, ""),
        ({}, {}, ""),  # Ray knows nothing yet
        ({"gpu": {"CPU": 8, "GPU": 0}}, {}, "no room for an encoder: other work holds the cluster's GPUs"),
        ({"gpu": {"CPU": 8}}, {}, "no room for an encoder: other work holds the cluster's GPUs"),
        ({"gpu": {"CPU": 8, "GPU": 1}}, {}, "room for 1 of 2 encoders: other work holds GPUs"),
        ({"gpu": {"CPU": 8, "GPU": 1}}, {"max_actors": 9}, "room for 1 of 2 encoders: other work holds GPUs"),
        ({"cpu": {"CPU": 0}, "gpu": {"CPU": 0}}, {"device": "cpu"}, "other work holds the cluster's CPUs"),
    ],
)
def test_a_run_says_that_it_waits_for_what_others_hold(
    free: dict[str, Any],
    resources: dict[str, Any],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    has = {"cpu": {"CPU": 4.0, "memory": GB}, "gpu": {"CPU": 8.0, "GPU": 2.0, "memory": GB}}
    asked: list[str] = []

    def look(nodes: list[str]) -> dict[str, tuple[float, str]]:
        asked.extend(nodes)
        return {}

    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "NodeID": id, "Resources": has[id]} for id in has])
    monkeypatch.setattr("ray._private.state.available_resources_per_node", lambda: free)
    monkeypatch.setattr(cluster, "gpus_to_come", lambda: 0)
    monkeypatch.setattr(cluster, "look_at_gpus", look)
    with caplog.at_level(logging.WARNING):
        cluster.pool_on_cluster(Resources(**resources))
    assert said in caplog.text
    assert bool(said) == bool(caplog.text)
    is_free = free.get("gpu", has["gpu"]).get("GPU", 0) > 0 and not resources.get("device")
    assert asked == (["gpu"] if is_free else [])
