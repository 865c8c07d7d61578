"""The pool of actors that optimise batches: how many there are, and what each gets of the cluster."""

import dataclasses
import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.data import ActorPoolStrategy

from pipeline.cluster.connection import connect
from pipeline.cluster.nodes import LOOK, Node, look_at_gpus, this_machine
from pipeline.cluster.unlike import free_places, gpus_to_come, largest, say_what_waits, selector_of, with_memory_by_kind
from pipeline.options import Resources
from pipeline.planning import ASSUMED_MEMORY, ROWS_AT_MOST, Batch, Limits, cost

log = logging.getLogger(__name__)

# Shares of a CPU that the stages ask for. They are small so that reading ahead and committing never wait for a whole
# CPU while actors compute: a finished batch is durable within seconds, and one CPU is enough for a whole cluster.
# They differ so that Ray Data keeps the stages apart instead of fusing reading into the actor.
FETCH_CPUS, WRITE_CPUS = 0.2, 0.1
ACTORS_CPU_SHARE = 0.5

TASKS_PER_ACTOR = 2
"""Tasks that read ahead, and tasks that write: enough unless a store takes longer for two batches than an actor does.
On one CPU, an actor and the tasks that read leave just as much as the tasks that write need. Without a limit, Ray Data
starts a process for each task that fits by its share of a CPU."""

TASK_MEMORY_SHARE = 0.5
"""Share of the smallest node's memory that a task may reserve, however much it might take: one must always fit."""

CPU_BATCH_PIXELS = 65_536
"""Pixels of a batch on a CPU: with more, a pair takes longer, not less (`tests/bench/README.md`, per evaluation), since
activations leave the caches."""

LONG_BATCH = 10.0
"""Seconds of a batch from which on an actor gets the next one only when it asks for it. One that waits at an actor that
is slow, or at a long batch, can go to no other: a run then ends when that actor does, while others are idle. One that
asks has nothing to do for a moment between batches, which counts less the longer they are."""

MULTIPLY_ADDS = {"cpu": 5e10, "fp32": 1e13, "tf32": 6e13, "bf16": 1.4e14}
"""For each second, of a thread of a CPU and of an H100 by precision (`tests/bench/results`). Other GPUs are slower, so
that what is long by these is long on any of them."""

GPU_BATCH_PIXELS = 2**23
"""Pixels of a batch on a GPU: with four times fewer, an H100 computes at 0.8 of its speed; with more, not faster."""

GPU_BATCH_SECONDS = 60.0
"""Seconds of work of a batch on a GPU: by then its rows are durable, and a crash costs no more."""

GPU_BATCH_ROWS = 256
"""Rows of a batch on a GPU: after a crash they are tried one by one."""

GPU_MEMORY_SHARE = 0.9
"""Share of a GPU's free memory that batches may take; the rest is for what the libraries set aside."""


@dataclass(frozen=True)
class ActorPool:
    """A pool of style actors: how many, and what each takes.

    Attributes:
        count: how many actors there are at most.
        num_cpus: CPUs that each actor reserves: less than it uses where the stages around it reserve some too.
        num_gpus: GPUs, or the share of one, that each actor reserves.
        threads: of torch in each actor; None on a GPU.
        memory: bytes that each actor may use, of the GPU's memory or else the machine's; None where it is not known.
        precision: what `auto` means to them; fp32, which needs most memory, where it is not known.
        min_count: actors that a pool which grows and shrinks has at any time; None: `count`, it is fixed.
        current_count: actors that there are CPUs for now, in a pool that grows on CPUs; else None. Such a pool
            reserves all that it uses, and the stages around it nothing. Of what a run did not ask for by name Ray Data
            counts whole CPUs of each node alone: with parts of CPUs around, it would never see that one more actor fits
            a small node. And where a CPU could hold two, Ray would put them there while the node that has just joined
            stays idle.
        nodes_without_cpus: ids of nodes without CPUs, often a cluster's head: stages that reserve nothing leave
            them alone.
        task_memory: bytes that a task around the actors may reserve such that it fits every node; None: not known.
        selector: labels of the nodes that the actors must be on; none: any.
        larger: on those nodes alone whose GPUs have most memory, where GPUs are unlike each other: for rows that an
            actor of this pool cannot hold.
    """

    count: int
    num_cpus: float
    num_gpus: float
    threads: int | None
    memory: float | None = None
    precision: str = "fp32"
    min_count: int | None = None
    current_count: int | None = None
    nodes_without_cpus: tuple[str, ...] = ()
    task_memory: float | None = None
    selector: Mapping[str, str] = field(default_factory=dict)
    larger: "ActorPool | None" = None

    @property
    def actor_options(self) -> dict[str, Any]:
        """The options of Ray for the actors."""
        needed: dict[str, Any] = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus}
        return needed | ({"label_selector": dict(self.selector)} if self.selector else {})

    @property
    def tasks(self) -> int:
        """How many tasks may read at a time, and how many may write."""
        return TASKS_PER_ACTOR * (self.current_count or self.count)

    def stage_options(self, share: float, memory: int = 0) -> dict[str, Any]:
        """Return the options of Ray for the tasks of a stage around the actors.

        Args:
            share: of a CPU that a task needs; not reserved where the actors reserve whole CPUs.
            memory: bytes that a task may take, so that no node starts more tasks than it has memory for; 0: not told.
        """
        options: dict[str, Any] = {"num_cpus": share if self.current_count is None else 0}
        if memory and self.task_memory:
            options["memory"] = int(min(memory, self.task_memory))
        if not options["num_cpus"] and self.nodes_without_cpus:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(self.nodes_without_cpus)})"}
        return options

    def strategy(self, batches: int, work: float = 0.0) -> ActorPoolStrategy:
        """Return how Ray Data keeps this pool; actors that fit no node wait until one joins.

        Args:
            batches: that there are, at least.
            work: multiply-adds of a usual batch.
        """
        most = min(self.count, batches)
        in_flight = 1 if work >= LONG_BATCH * self.multiply_adds else 2
        if self.min_count is None:
            return ActorPoolStrategy(size=most, max_tasks_in_flight_per_actor=in_flight)
        least = min(self.min_count, most)
        return ActorPoolStrategy(
            min_size=least, max_size=most, initial_size=least, max_tasks_in_flight_per_actor=in_flight
        )

    @property
    def multiply_adds(self) -> float:
        """How many multiply-adds an actor computes in a second at most, where no measurement is at hand."""
        if self.num_gpus:
            known = self.precision if self.memory else "bf16"  # of GPUs that are still to come nothing is known
            return MULTIPLY_ADDS[known] * min(1.0, self.num_gpus)
        return MULTIPLY_ADDS["cpu"] * (self.threads or 1)

    def limits(self, batch_size: int | None = None) -> Limits:
        """Return what batches for these actors must stay within, of at most `batch_size` rows."""
        larger = self.larger.limits(batch_size) if self.larger else None
        if not self.num_gpus:
            return Limits(batch_size or ROWS_AT_MOST, CPU_BATCH_PIXELS, self.memory, self.precision, self.count)
        rows, work = batch_size or GPU_BATCH_ROWS, GPU_BATCH_SECONDS * self.multiply_adds
        return Limits(rows, GPU_BATCH_PIXELS, self.memory, self.precision, self.count, work, larger)

    def holds(self, batch: Batch) -> bool:
        """Return whether any actor of this pool can hold a batch; those that it cannot are for the larger ones."""
        first = batch.rows[0]
        if not self.larger or first.shape is None:
            return True
        limits = self.limits()
        return cost.limits_for(first.row.params, first.shape, limits) is limits

    @classmethod
    def on(cls, nodes: Sequence[Node], resources: Resources | None = None, to_come: int = 0) -> "ActorPool":
        """Return the pool for some nodes, such that every actor fits a node together with the stages around it.

        Args:
            nodes: of the cluster; none counts as one node with one CPU.
            resources: what the run may use; None: all there is.
            to_come: GPUs that the cluster adds at most when they are asked for; a run waits for them rather than take
                CPUs, unless it is told to.

        Raises:
            ValueError: if GPUs are required, there are none, and no number of actors is given that could wait for them.
        """
        resources = resources or Resources()
        with_gpu = [node for node in nodes if node.gpus >= 1 and resources.device != "cpu"]
        if not with_gpu and resources.device != "cpu" and (to_come or resources.device == "gpu"):
            return _waiting_for_gpus(resources, to_come)
        if with_gpu:
            return _on_gpus(with_gpu, resources)
        with_cpus = [node for node in nodes if node.cpus >= 1] or [Node(1, 0, 0)]
        return _growing_on_cpus(with_cpus, resources) if resources.grows else _fixed_on_cpus(with_cpus, resources)


def _min_count(resources: Resources) -> int | None:
    """Return how many actors a pool has at any time; None if its size is fixed."""
    return (resources.min_actors or 1) if resources.grows else None


def _waiting_for_gpus(resources: Resources, to_come: int) -> ActorPool:
    """Return a pool whose actors wait for nodes with a GPU, as there are none yet; their memory is not known.

    Args:
        resources: what the run may use.
        to_come: GPUs that the cluster may have at most.
    """
    per_gpu = resources.actors_per_gpu or 1
    count = resources.num_actors or resources.max_actors or to_come * per_gpu
    if not count:
        raise ValueError("device = gpu: expected a GPU, or num_actors or max_actors to wait for nodes with one")
    log.warning("no node has a GPU yet: the run waits for the cluster to add some; --device cpu computes without")
    # As many as there is work for: a pool of fixed size would have the cluster add all of them at once.
    least = _min_count(resources) or (None if resources.num_actors else 1)
    return ActorPool(count, ACTORS_CPU_SHARE, 1 / per_gpu, None, min_count=least)


def _on_gpus(nodes: Sequence[Node], resources: Resources) -> ActorPool:
    """Return a pool on nodes that all have GPUs; actors that share a GPU share its memory evenly."""
    nodes = with_memory_by_kind(nodes)
    gpus = sum(int(node.gpus) for node in nodes)
    count, min_count = resources.num_actors or resources.max_actors, _min_count(resources)
    # A fixed number of actors is spread over the GPUs; a pool that grows has one each unless more are requested.
    per_gpu = resources.actors_per_gpu or (1 if resources.grows else math.ceil((count or gpus) / gpus))
    count = max(count or gpus * per_gpu, min_count or 1)
    cpus_each = ACTORS_CPU_SHARE * min(node.cpus / (int(node.gpus) * per_gpu) for node in nodes)
    # Any actor may get any batch, so that the smallest GPU decides; what that cannot hold is for the largest alone.
    able = largest(nodes)
    pool = ActorPool(count, cpus_each, 1 / per_gpu, None, _gpu_memory(nodes, per_gpu), _precision(nodes), min_count)
    if len(able) == len(nodes) or not able:
        return pool
    others = [node for node in nodes if node not in able]
    larger = dataclasses.replace(
        pool,
        count=min(count, per_gpu * sum(int(node.gpus) for node in able)),
        memory=_gpu_memory(able, per_gpu),
        precision=_precision(able),
        min_count=min_count and 1,
        selector=selector_of(able, others),
    )
    return dataclasses.replace(pool, larger=larger)


def _gpu_memory(nodes: Sequence[Node], per_gpu: int) -> float | None:
    """Return the bytes that each actor on any of some nodes has; None if none of them tells its GPUs' memory.

    GPUs that do not tell it, beside others that do, have as much as is assumed where nobody tells.
    """
    known = [node.gpu_memory for node in nodes if node.gpu_memory]
    assumed = [ASSUMED_MEMORY] if len(known) < len(nodes) else []
    return min([*(GPU_MEMORY_SHARE * free / per_gpu for free in known), *assumed]) if known else None


def _precision(nodes: Sequence[Node]) -> str:
    """Return what `auto` means on all of some nodes; fp32, which needs most memory, where they differ."""
    precisions = {node.gpu_precision for node in nodes}
    return precisions.pop() if len(precisions) == 1 else "fp32"


def _growing_on_cpus(nodes: Sequence[Node], resources: Resources) -> ActorPool:
    """Return a pool on CPUs whose size follows the work, and whose actors reserve every CPU that they use."""
    cpus = sum(int(node.cpus) for node in nodes)
    min_count = _min_count(resources)
    count = max(resources.max_actors or cpus, min_count or 1)
    current_count = min(count, cpus)  # the others are for nodes that join
    # As many threads as leave a place for every actor that there are CPUs for now.
    widths = range(1, int(min(node.cpus for node in nodes)) + 1)
    threads = max(width for width in widths if sum(int(node.cpus) // width for node in nodes) >= current_count)
    memory = min(node.memory * threads / node.cpus for node in nodes)
    return ActorPool(count, threads, 0, threads, memory or None, min_count=min_count, current_count=current_count)


def _fixed_on_cpus(nodes: Sequence[Node], resources: Resources) -> ActorPool:
    """Return a pool of fixed size on CPUs, which leaves a share of each CPU to the stages around it."""
    cpus = sum(int(node.cpus) for node in nodes)
    count = resources.num_actors or cpus
    threads = max(1, min(cpus // count, int(min(node.cpus for node in nodes))))
    cpus_each = min(threads, cpus / count)
    memory = min(node.memory * min(1.0, cpus_each / node.cpus) for node in nodes)
    return ActorPool(count, ACTORS_CPU_SHARE * cpus_each, num_gpus=0, threads=threads, memory=memory or None)


def pool_on_cluster(resources: Resources | None = None) -> ActorPool:
    """Return the pool for the cluster that this process is connected to.

    Raises:
        ValueError: as `ActorPool.on` does.
    """
    resources = resources or Resources()
    list_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
    alive = [node for node in list_nodes() if node["Alive"]]
    # What is free on GPUs only their own nodes can tell.
    wants_gpus = resources.device != "cpu"
    with_gpu = [node["NodeID"] for node in alive if wants_gpus and node["Resources"].get("GPU", 0) >= 1]
    free = _free_resources(alive)
    gpus = look_at_gpus([node for node in with_gpu if free[node].get("GPU", 0) >= LOOK])
    nodes = [_node(node, gpus) for node in alive]
    without_cpus = tuple(node["NodeID"] for node in alive if not node["Resources"].get("CPU"))
    task_memory = TASK_MEMORY_SHARE * min((node.memory for node in nodes if node.cpus), default=0)
    pool = ActorPool.on(nodes, resources, gpus_to_come() if wants_gpus else 0)
    if with_gpu or not pool.num_gpus:
        needs = {"GPU": pool.num_gpus, "CPU": pool.num_cpus}
        there = {node["NodeID"]: node["Resources"] for node in alive}
        now, ever = (min(pool.count, free_places(each, needs)) for each in (free, there))
        say_what_waits(now, ever, gpus=pool.num_gpus > 0)

    def with_tasks(pool: ActorPool) -> ActorPool:
        """Return a pool with the nodes and the memory that the tasks which read and write may use."""
        larger = with_tasks(pool.larger) if pool.larger else None
        memory = task_memory or None
        return dataclasses.replace(pool, nodes_without_cpus=without_cpus, task_memory=memory, larger=larger)

    return with_tasks(pool)


def _free_resources(alive: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, float]]:
    """Return what nobody holds of each node; all of one that Ray says nothing of yet."""
    ask: Callable[[], Mapping[str, Mapping[str, float]]] = ray._private.state.available_resources_per_node
    free = ask()
    return {node["NodeID"]: free.get(node["NodeID"], node["Resources"]) for node in alive}


def _node(node: Mapping[str, Any], gpus: Mapping[str, tuple[float, str]]) -> Node:
    """Return what a node has.

    Args:
        node: as Ray lists it.
        gpus: by node, what is known of its GPUs.
    """
    has, id = node["Resources"], str(node["NodeID"])
    kind = str(node.get("Labels", {}).get("ray.io/accelerator-type", ""))
    known = Node(has.get("CPU", 0), has.get("GPU", 0), has.get("memory", 0), kind=kind, id=id)
    if id not in gpus:
        return known
    memory, precision = gpus[id]
    return dataclasses.replace(known, gpu_memory=memory, gpu_precision=precision)


def pool_for(resources: Resources) -> ActorPool:
    """Return the pool that a run would have, without starting anything: of its cluster, or else of this machine.

    Raises:
        ValueError: as `ActorPool.on` does.
    """
    address = resources.address or os.environ.get("RAY_ADDRESS", "local")
    if address != "local" or ray.is_initialized():
        connect(resources.address)
        return pool_on_cluster(resources)
    return ActorPool.on([this_machine()], resources)
