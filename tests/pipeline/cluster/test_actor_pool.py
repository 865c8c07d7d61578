"""How devices are shared out among actors: by arithmetic, for clusters that no test machine has."""

import dataclasses
import os
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st
from ray.data import DataContext

from pipeline.cluster import actor_pool as cluster
from pipeline.cluster import nodes
from pipeline.cluster.actor_pool import CPU_BATCH_PIXELS, FETCH_CPUS, GPU_BATCH_PIXELS, WRITE_CPUS, ActorPool
from pipeline.cluster.connection import DATA_SETTINGS, HEALTH_CHECKS, KEPT_WORKERS, connect
from pipeline.cluster.nodes import Node
from pipeline.options.resources import Resources
from pipeline.planning.limits import ASSUMED_MEMORY, ROWS_AT_MOST, Limits
from tests.support import REPOSITORY

GB = 1e9
CPU_NODES = st.builds(Node, cpus=st.integers(1, 128), gpus=st.just(0), memory=st.floats(GB, 1000 * GB))
GPU_NODES = st.builds(Node, cpus=st.integers(1, 128), gpus=st.integers(1, 8), memory=st.floats(GB, 1000 * GB))


@given(st.lists(CPU_NODES | GPU_NODES, min_size=1, max_size=9), st.none() | st.integers(1, 100))
def test_every_actor_fits_a_node_beside_the_other_stages(nodes: list[Node], count: int | None) -> None:
    pool = ActorPool.on(nodes, Resources(num_actors=count))
    with_gpu = [node for node in nodes if node.gpus]
    able = with_gpu or nodes
    assert (pool.num_gpus > 0) == bool(with_gpu)
    if with_gpu:
        slots = [int(node.gpus * round(1 / pool.num_gpus)) for node in able]
        assert pool.num_gpus == 1 / round(1 / pool.num_gpus)
    else:
        slots = [int((node.cpus - FETCH_CPUS - WRITE_CPUS) / pool.num_cpus) for node in able]
        assert pool.threads is not None
        assert pool.threads <= min(node.cpus for node in able)
    assert sum(slots) >= pool.count
    for node, slot in zip(able, slots, strict=True):
        held = min(slot, pool.count) * pool.num_cpus if with_gpu else pool.num_cpus
        assert held + FETCH_CPUS + WRITE_CPUS <= node.cpus


@given(st.lists(CPU_NODES, min_size=1, max_size=9), st.none() | st.integers(1, 100))
def test_actors_of_a_node_share_its_memory(nodes: list[Node], count: int | None) -> None:
    pool = ActorPool.on(nodes, Resources(num_actors=count))
    assert pool.memory is not None
    for node in nodes:
        side_by_side = max(1, int(node.cpus / max(pool.num_cpus / cluster.ACTORS_CPU_SHARE, 1e-9) + 1e-6))
        assert side_by_side * pool.memory <= node.memory * (1 + 1e-6)


def test_actors_on_gpus_share_the_memory_that_is_free() -> None:
    def node(free: float | None, precision: str = "bf16") -> Node:
        return Node(8, 2, GB, free, precision)

    pool = ActorPool.on([node(80 * GB), node(40 * GB)])
    assert pool.memory == pytest.approx(36 * GB)
    assert pool.precision == "bf16"
    assert ActorPool.on([node(80 * GB)], Resources(num_actors=4)).memory == pytest.approx(36 * GB)
    assert ActorPool.on([node(None)] * 2).memory is None
    assert ActorPool.on([node(80 * GB), node(None)]).memory == ASSUMED_MEMORY
    assert ActorPool.on([node(80 * GB), node(80 * GB, "fp32")]).precision == "fp32"


def test_limits_are_those_of_the_device() -> None:
    on_cpu, on_gpu = ActorPool.on([Node(4, 0, 8 * GB)]), ActorPool.on([Node(8, 2, GB, 80 * GB, "bf16")])
    assert on_cpu.limits() == Limits(ROWS_AT_MOST, CPU_BATCH_PIXELS, 2 * GB, "fp32", 4)
    assert on_gpu.limits(7) == Limits(7, GPU_BATCH_PIXELS, 0.9 * 80 * GB, "bf16", 2, 60 * 1.4e14)
    assert on_gpu.limits().rows == 256


def test_a_long_batch_waits_where_any_actor_can_take_it() -> None:
    """Two in flight keep an actor busy between short batches; behind a long one, the second would only wait."""
    pools = {
        5e10: ActorPool.on([Node(8, 0, GB)]),
        2e11: ActorPool.on([Node(8, 0, GB)], Resources(num_actors=2)),
        1.4e14: ActorPool.on([Node(8, 2, GB, 80 * GB, "bf16")]),
        5e12: ActorPool.on([Node(8, 2, GB, 80 * GB, "fp32")], Resources(actors_per_gpu=2)),
        7e13: ActorPool.on([Node(8, 2, GB)], Resources(actors_per_gpu=2)),  # what the GPUs can is not known
    }
    for rate, pool in pools.items():
        assert pool.multiply_adds == pytest.approx(rate)
        for seconds, in_flight in ((0, 2), (9.9, 2), (10.1, 1)):
            assert pool.strategy(100, rate * seconds).max_tasks_in_flight_per_actor == in_flight
    growing = ActorPool.on([Node(8, 0, GB)], Resources(min_actors=1, max_actors=8))
    assert growing.strategy(100, 1e15).max_tasks_in_flight_per_actor == 1


def test_a_dataset_forgets_its_finished_blocks() -> None:
    """Ray Data would keep 4 kB for each batch until the run ends."""
    kept = [{"fetch": [1, 2]}, {"optimise": [3], "write": list[int]()}]
    stages = [SimpleNamespace(get_stats=lambda each=each: each) for each in kept]
    for callback in DATA_SETTINGS["custom_execution_callback_classes"]:
        callback().on_execution_step(SimpleNamespace(_topology=stages))
    assert kept == [{"fetch": []}, {"optimise": [], "write": []}]


def test_every_gpu_node_is_asked_and_one_that_does_not_tell_is_left_out(
    local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ray.get_runtime_context().get_node_id()
    monkeypatch.setattr(nodes, "_look_at_gpu", lambda: (80 * GB, "bf16"))
    assert nodes.look_at_gpus([here, "0" * 56], gpus_each=0, seconds=20) == {here: (80 * GB, "bf16")}


def test_without_a_cluster_the_pool_is_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster, "this_machine", lambda: Node(4, 0, 8 * GB))
    assert cluster.pool_for(Resources(num_actors=2)) == ActorPool.on([Node(4, 0, 8 * GB)], Resources(num_actors=2))


def test_this_machine_has_something() -> None:
    here = nodes.this_machine()
    assert here.cpus >= 1
    assert here.memory > GB / 10


def test_by_default_an_actor_for_each_device() -> None:
    assert ActorPool.on([Node(8, 2, GB)] * 2) == ActorPool(4, num_cpus=2.0, num_gpus=1.0, threads=None)
    assert ActorPool.on([Node(2, 0, 8 * GB)]) == ActorPool(2, num_cpus=0.5, num_gpus=0, threads=1, memory=4 * GB)


def test_actors_share_what_there_is() -> None:
    assert ActorPool.on([Node(8, 0, GB)], Resources(num_actors=2)).threads == 4
    assert ActorPool.on([Node(2, 0, GB)] * 8, Resources(num_actors=2)).threads == 2
    assert ActorPool.on([Node(2, 0, GB)], Resources(num_actors=5)).threads == 1
    assert ActorPool.on([Node(8, 1, GB)], Resources(num_actors=2)).num_gpus == 0.5
    assert ActorPool.on([Node(8, 2, GB)], Resources(num_actors=3)).num_gpus == 0.5
    assert ActorPool.on([Node(64, 0, GB), Node(4, 1, GB)]).num_cpus == 2.0


def test_a_pool_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="num_actors = 0: expected a whole number of at least 1"):
        Resources(num_actors=0)


def test_a_batch_may_take_longer_than_ray_data_would_wait(local_ray: None) -> None:
    assert DataContext.get_current().execution_no_progress_timeout_s == -1


@given(st.lists(CPU_NODES | GPU_NODES, min_size=1, max_size=9), st.integers(1, 9), st.integers(0, 9), st.integers(1, 3))
def test_a_pool_that_grows_fits_the_nodes_that_there_are(
    nodes: list[Node], least: int, more: int, per_gpu: int
) -> None:
    pool = ActorPool.on(nodes, Resources(min_actors=least, max_actors=least + more, actors_per_gpu=per_gpu))
    assert (pool.min_count, pool.count) == (least, least + more)
    with_gpu = [node for node in nodes if node.gpus]
    if with_gpu:
        assert pool.num_gpus == 1 / per_gpu
        assert all(pool.num_cpus + FETCH_CPUS + WRITE_CPUS <= node.cpus for node in with_gpu)
    else:
        assert all(pool.num_cpus <= node.cpus for node in nodes)
        assert pool.memory is not None
        assert all(int(node.cpus / pool.num_cpus) * pool.memory <= node.memory * (1 + 1e-6) for node in nodes)


@given(st.lists(CPU_NODES, min_size=1, max_size=9), st.integers(1, 2000))
def test_a_growing_pool_reserves_whole_cpus_and_uses_those_there_are(nodes: list[Node], most: int) -> None:
    pool = ActorPool.on(nodes, Resources(max_actors=most))
    assert pool.num_cpus == pool.threads

    def fit(threads: int) -> int:
        return sum(int(node.cpus) // threads for node in nodes)

    assert pool.threads is not None
    assert pool.current_count == min(most, fit(1))
    assert fit(pool.threads) >= pool.current_count
    wider = pool.threads + 1
    assert wider > min(node.cpus for node in nodes) or fit(wider) < pool.current_count


def test_stages_around_actors_that_reserve_whole_cpus_reserve_nothing() -> None:
    growing = dataclasses.replace(
        ActorPool.on([Node(8, 0, GB)], Resources(max_actors=20)), nodes_without_cpus=("head", "other")
    )
    assert growing.stage_options(0.2) == {"num_cpus": 0, "label_selector": {"ray.io/node-id": "!in(head,other)"}}
    assert dataclasses.replace(growing, nodes_without_cpus=()).stage_options(0.2) == {"num_cpus": 0}
    assert growing.tasks == 16
    for pool in (ActorPool.on([Node(8, 0, GB)]), ActorPool.on([Node(8, 2, GB)], Resources(max_actors=8))):
        assert dataclasses.replace(pool, nodes_without_cpus=("head",)).stage_options(0.2) == {"num_cpus": 0.2}
        assert pool.tasks == 2 * pool.count


def test_how_ray_data_keeps_a_pool() -> None:
    fixed, growing = (
        ActorPool.on([Node(8, 0, GB)]),
        ActorPool.on([Node(8, 0, GB)], Resources(min_actors=2, max_actors=20)),
    )
    assert (fixed.strategy(100).min_size, fixed.strategy(100).max_size, fixed.strategy(3).max_size) == (8, 8, 3)
    assert (growing.strategy(100).min_size, growing.strategy(100).max_size) == (2, 20)
    assert (growing.strategy(1).min_size, growing.strategy(1).max_size) == (1, 1)


def test_a_device_is_chosen_or_told() -> None:
    mixed = [Node(8, 0, GB), Node(8, 2, GB)]
    assert ActorPool.on(mixed).count == 2
    assert ActorPool.on(mixed, Resources(device="gpu")).num_gpus == 1
    on_cpus = ActorPool.on(mixed, Resources(device="cpu"))
    assert (on_cpus.count, on_cpus.num_gpus, on_cpus.threads) == (16, 0, 1)
    assert ActorPool.on(mixed, Resources(actors_per_gpu=3)) == ActorPool.on(mixed, Resources(num_actors=6))
    waiting = ActorPool.on([Node(8, 0, GB)], Resources(device="gpu", max_actors=4))
    assert (waiting.count, waiting.min_count, waiting.num_gpus) == (4, 1, 1)
    with pytest.raises(ValueError, match="expected a GPU, or num_actors or max_actors to wait"):
        ActorPool.on([Node(8, 0, GB)], Resources(device="gpu"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"num_actors": 2, "max_actors": 3}, "expected num_actors, a fixed number"),
        ({"min_actors": 4, "max_actors": 3}, "expected min_actors, 4, to be at most max_actors, 3"),
        ({"num_actors": "two"}, "num_actors = 'two': expected a whole number"),
        ({"actors_per_gpu": 0}, "actors_per_gpu = 0: expected a whole number of at least 1"),
        ({"device": "tpu"}, "device = 'tpu': expected one of auto, gpu, cpu"),
    ],
)
def test_pools_that_contradict_themselves_are_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Resources(**asked)


def test_the_share_of_a_killed_run_is_soon_given_to_the_next() -> None:
    """Ray Data's own name for it, which a version may change: then a run after a killed one may stand still again."""
    script = (
        "import pipeline.cluster; from ray.data._internal.cluster_autoscaler import RateBasedClusterAutoscaler as A"
    )
    script += "; print(A.AUTOSCALING_REQUEST_EXPIRE_TIME_S)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_DATA_")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True
    )
    assert done.stdout == "20\n", done.stderr


def test_ray_data_knows_what_is_set_of_it() -> None:
    """It takes any name: one that a version drops would do nothing, and nobody would notice."""
    assert DATA_SETTINGS.keys() <= {field.name for field in dataclasses.fields(DataContext)}


def test_an_address_at_which_nobody_answers_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(ValueError, match=f"address {address}: no Ray cluster answers there .* expected HOST:PORT"):
            connect(address)


def test_cpus_of_dead_nodes_are_not_planned_for(monkeypatch: pytest.MonkeyPatch) -> None:
    has = {"CPU": 4.0, "memory": 8 * GB}
    listed = [{"Alive": alive, "NodeID": name, "Resources": has} for name, alive in (("a", True), ("b", False))]
    listed.append({"Alive": True, "NodeID": "head", "Resources": {"memory": GB}})
    monkeypatch.setattr(ray, "nodes", lambda: listed)
    monkeypatch.setattr("ray._private.state.available_resources_per_node", dict)
    pool = cluster.pool_on_cluster(Resources(device="cpu"))
    assert (pool.count, pool.nodes_without_cpus) == (4, ("head",))


def test_a_cluster_of_our_own_keeps_its_workers_and_notices_lost_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    started: list[dict[str, str]] = []
    monkeypatch.setattr(ray, "init", lambda *_, **__: started.append(dict(os.environ)))
    for name in (*KEPT_WORKERS, *HEALTH_CHECKS):
        monkeypatch.setenv(name, "")  # so that it is as before after this test
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_health_check_period_ms", "7000")
    connect("local")
    (environment,) = started
    assert environment.items() >= KEPT_WORKERS.items()
    assert environment.items() >= (HEALTH_CHECKS | {"RAY_health_check_period_ms": "7000"}).items()
