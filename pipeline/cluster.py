"""The Ray cluster that a run works on, and how its devices are shared out."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

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
class Actors:
    """A pool of style actors: how many, and what each takes.

    Attributes:
        count: actors.
        num_cpus: reserved by each, which is less than it uses: the stages around it must be scheduled too.
        num_gpus: reserved by each.
        threads: of torch in each; None on a GPU.
    """

    count: int
    num_cpus: float
    num_gpus: float
    threads: int | None

    @classmethod
    def on(cls, *, cpus: float, gpus: float, count: int | None = None) -> "Actors":
        """A pool for a cluster of that many CPUs and GPUs.

        Raises:
            ValueError: for a count below 1.
        """
        if count is not None and count < 1:
            raise ValueError(f"num_actors = {count}: expected at least 1")
        count = count or int(gpus) or max(1, int(cpus))
        share = ACTORS_CPU_SHARE * cpus / count
        if gpus:
            return cls(count, share, num_gpus=min(1.0, gpus / count), threads=None)
        return cls(count, share, num_gpus=0, threads=max(1, int(cpus) // count))


def connect(address: str | None = None) -> None:
    """Connect to a Ray cluster, or start one on this machine that no other process attaches to."""
    if not ray.is_initialized():
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        dashboard = False if address == "local" else None
        ray.init(address, include_dashboard=dashboard, log_to_driver=False, logging_level=logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def actors(count: int | None = None) -> Actors:
    """A pool for the cluster that this process is connected to."""
    resources = cast(Callable[[], dict[str, float]], ray.cluster_resources)()
    return Actors.on(cpus=resources.get("CPU", 1), gpus=resources.get("GPU", 0), count=count)
