"""The Ray cluster that a run works on, and how its devices are shared out."""

import dataclasses
import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.data import ActorPoolStrategy

from pipeline.cluster.connection import connect
from pipeline.cluster.nodes import Node, look_at_gpus, this_machine
from pipeline.options import Resources
from pipeline.planning import ROWS_AT_MOST, Limits

# Shares of a CPU that the stages ask for. They are small so that reading ahead and committing never wait for a whole
# CPU while actors compute: a finished batch is durable within seconds, and one CPU is enough for a whole cluster.
# They differ so that Ray Data keeps the stages apart instead of fusing reading into the actor.
FETCH_CPUS, WRITE_CPUS = 0.2, 0.1
ACTORS_CPU_SHARE = 0.5

TASKS_PER_ACTOR = 2
"""Tasks that read ahead, and tasks that write: enough unless a store takes longer for two batches than an actor does.
Beside an actor on one CPU those that read leave just as much as writing takes. Without a limit, Ray Data starts a
process for each of as many as there are shares for."""

CPU_BATCH_PIXELS = 65_536
"""Pixels of a batch on a CPU: with more, a pair takes longer, not less (four of 256 px 140 ms for each evaluation,
one 124; four of 128 px 31 ms, one 43), since activations leave the caches."""

GPU_MEMORY_SHARE = 0.9
"""Share of a GPU's free memory that batches may take; the rest is for what the libraries set aside."""


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ActorPool:
    """A pool of style actors: how many, and what each takes.

    Attributes:
        count: actors, at most.
        num_cpus: reserved by each, which is less than it uses where the stages around it reserve something too.
        num_gpus: reserved by each.
        threads: of torch in each; None on a GPU.
        memory: bytes for each, of the GPU's memory or else the machine's; None where it is not known.
        precision: what `auto` means to them; fp32, which needs most memory, where it is not known.
        min_count: actors that a pool which grows and shrinks has at any time; None: `count`, it is fixed.
        current_count: actors that there are CPUs for now, in a pool that grows on CPUs; else None. Such a pool
            reserves all that it uses, and the stages around it nothing. Of what a run did not ask for by name Ray Data
            counts whole CPUs of each node alone: with parts of CPUs around, it would never see that one more actor fits
            a small node. And where a CPU could hold two, Ray would put them there while the node that has just joined
            stays idle.
        nodes_without_cpus: ids of nodes without CPUs, often a cluster's head: stages that reserve nothing leave
            them alone.
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

    @property
    def tasks(self) -> int:
        """Tasks that read, and tasks that write, at a time, at most."""
        return TASKS_PER_ACTOR * (self.current_count or self.count)

    def stage_options(self, share: float) -> dict[str, Any]:
        """What Ray shall know of a stage that takes such a share of a CPU."""
        if self.current_count is None:
            return {"num_cpus": share}
        away = (
            {"label_selector": {"ray.io/node-id": f"!in({','.join(self.nodes_without_cpus)})"}}
            if self.nodes_without_cpus
            else {}
        )
        return {"num_cpus": 0, **away}

    def strategy(self, batches: int) -> ActorPoolStrategy:
        """How Ray Data keeps this pool for so many batches. Actors that no node has room for wait until one has."""
        most = min(self.count, batches)
        if self.min_count is None:
            return ActorPoolStrategy(size=most)
        least = min(self.min_count, most)
        return ActorPoolStrategy(min_size=least, max_size=most, initial_size=least)

    def limits(self, batch_size: int | None = None) -> Limits:
        """What batches for these actors must stay within."""
        pixels = None if self.num_gpus else CPU_BATCH_PIXELS
        return Limits(batch_size or ROWS_AT_MOST, pixels, self.memory, self.precision, self.count)

    @classmethod
    def on(cls, nodes: Sequence[Node], asked: Resources | None = None) -> "ActorPool":
        """A pool for a cluster, such that every actor fits a node, with room for the stages around it.

        Raises:
            ValueError: if GPUs are asked for, there are none, and it is not said how many actors shall wait for them.
        """
        asked = asked or Resources()
        least = (asked.min_actors or 1) if asked.grows else None
        count = asked.num_actors or asked.max_actors
        with_gpu = [node for node in nodes if node.gpus >= 1 and asked.device != "cpu"]
        if asked.device == "gpu" and not with_gpu:
            if not count:
                raise ValueError("device = gpu: expected a GPU, or num_actors or max_actors to wait for nodes with one")
            return cls(count, ACTORS_CPU_SHARE, 1 / (asked.actors_per_gpu or 1), None, min_count=least)
        if with_gpu:
            gpus = sum(int(node.gpus) for node in with_gpu)
            per_gpu = asked.actors_per_gpu or (1 if asked.grows else math.ceil((count or gpus) / gpus))
            count = max(count or gpus * per_gpu, least or 1)
            share = min(node.cpus / (int(node.gpus) * per_gpu) for node in with_gpu)
            free = [node.gpu_memory for node in with_gpu if node.gpu_memory]
            memory = GPU_MEMORY_SHARE * min(free) / per_gpu if len(free) == len(with_gpu) else None
            precisions = {node.gpu_precision for node in with_gpu}
            precision = precisions.pop() if len(precisions) == 1 else "fp32"
            return cls(count, ACTORS_CPU_SHARE * share, 1 / per_gpu, None, memory, precision, least)
        able = [node for node in nodes if node.cpus >= 1] or [Node(1, 0, 0)]
        cpus = sum(int(node.cpus) for node in able)
        count = max(count or cpus, least or 1)
        if asked.grows:
            room = min(count, cpus)  # the others are for nodes that join
            widths = range(1, int(min(node.cpus for node in able)) + 1)
            threads = max(width for width in widths if sum(int(node.cpus) // width for node in able) >= room)
            memory = min(node.memory * threads / node.cpus for node in able)
            return cls(count, threads, 0, threads, memory or None, min_count=least, current_count=room)
        threads = max(1, min(cpus // count, int(min(node.cpus for node in able))))
        share = min(threads, cpus / count)
        memory = min(node.memory * min(1.0, share / node.cpus) for node in able)
        return cls(count, ACTORS_CPU_SHARE * share, num_gpus=0, threads=threads, memory=memory or None)


def pool_on_cluster(asked: Resources | None = None) -> ActorPool:
    """A pool for the cluster that this process is connected to.

    Raises:
        ValueError: as `ActorPool.on`.
    """
    asked = asked or Resources()
    list_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
    alive = [node for node in list_nodes() if node["Alive"]]
    with_gpu = [node["NodeID"] for node in alive if node["Resources"].get("GPU", 0) >= 1 and asked.device != "cpu"]
    told = look_at_gpus(with_gpu)
    pool = ActorPool.on(
        [
            Node(has.get("CPU", 0), has.get("GPU", 0), has.get("memory", 0), *told.get(node["NodeID"], ()))
            for node in alive
            for has in [node["Resources"]]
        ],
        asked,
    )
    return dataclasses.replace(
        pool, nodes_without_cpus=tuple(n["NodeID"] for n in alive if not n["Resources"].get("CPU"))
    )


def pool_for(resources: Resources) -> ActorPool:
    """The pool that a run would have, without starting anything: of its cluster if there is one, else of this machine.

    Raises:
        ValueError: as `ActorPool.on`.
    """
    address = resources.address or os.environ.get("RAY_ADDRESS", "local")
    if address != "local" or ray.is_initialized():
        connect(resources.address)
        return pool_on_cluster(resources)
    return ActorPool.on([this_machine()], resources)
