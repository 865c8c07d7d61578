"""The Ray cluster that a run works on, and how its devices are shared out."""

import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.data import DataContext

# Shares of a CPU that the stages ask for. They are small so that reading ahead and committing never wait for a whole
# CPU while actors compute: a finished batch is durable within seconds, and one CPU is enough for a whole cluster.
# They differ so that Ray Data keeps the stages apart instead of fusing reading into the actor.
FETCH_CPUS, WRITE_CPUS = 0.25, 0.1
ACTORS_CPU_SHARE = 0.5


@dataclass(frozen=True)
class Resources:
    """What a run may use.

    Attributes:
        num_actors: encoders at work; None: one per GPU, or one per CPU where there is no GPU.
        batch_size: pairs that an actor optimises together, at most.
        address: of a Ray cluster; None: the one this process is connected to or was submitted to, else one of its own
            on this machine.
    """

    num_actors: int | None = None
    batch_size: int = 4
    address: str | None = None


@dataclass(frozen=True)
class Node:
    """What one machine of a cluster has: CPUs, GPUs, bytes of memory that Ray may give away."""

    cpus: float
    gpus: float
    memory: float


@dataclass(frozen=True)
class Actors:
    """A pool of style actors: how many, and what each takes.

    Attributes:
        count: actors.
        num_cpus: reserved by each, which is less than it uses: the stages around it must be scheduled too.
        num_gpus: reserved by each.
        threads: of torch in each; None on a GPU.
        memory: bytes of main memory for each; None on a GPU, or where it is not known.
    """

    count: int
    num_cpus: float
    num_gpus: float
    threads: int | None
    memory: float | None = None

    @classmethod
    def on(cls, nodes: Sequence[Node], *, count: int | None = None) -> "Actors":
        """A pool for a cluster, such that every actor fits a node, with room for the stages around it.

        Raises:
            ValueError: for a count below 1.
        """
        if count is not None and count < 1:
            raise ValueError(f"num_actors = {count}: expected at least 1")
        with_gpu = [node for node in nodes if node.gpus >= 1]
        if with_gpu:
            gpus = sum(int(node.gpus) for node in with_gpu)
            count = count or gpus
            per_gpu = math.ceil(count / gpus)
            share = min(node.cpus / (int(node.gpus) * per_gpu) for node in with_gpu)
            return cls(count, ACTORS_CPU_SHARE * share, num_gpus=1 / per_gpu, threads=None)
        able = [node for node in nodes if node.cpus >= 1] or [Node(1, 0, 0)]
        cpus = sum(int(node.cpus) for node in able)
        count = count or cpus
        threads = max(1, min(cpus // count, int(min(node.cpus for node in able))))
        share = min(threads, cpus / count)
        memory = min(node.memory * min(1.0, share / node.cpus) for node in able)
        return cls(count, ACTORS_CPU_SHARE * share, num_gpus=0, threads=threads, memory=memory or None)


def connect(address: str | None = None) -> None:
    """Connect to a Ray cluster, or start one on this machine that no other process attaches to."""
    if not ray.is_initialized():
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        dashboard = False if address == "local" else None
        ray.init(address, include_dashboard=dashboard, log_to_driver=False, logging_level=logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    # A batch may rightly take hours on a CPU; Ray Data would call half an hour without a block a hang.
    context.execution_no_progress_timeout_s = -1
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def actors(count: int | None = None) -> Actors:
    """A pool for the cluster that this process is connected to."""
    list_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
    nodes = list_nodes()
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    return Actors.on([Node(r.get("CPU", 0), r.get("GPU", 0), r.get("memory", 0)) for r in alive], count=count)
