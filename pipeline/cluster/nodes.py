"""What the machines of a cluster have."""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.process import main_memory

log = logging.getLogger(__name__)

RAYS_SHARE = 0.7
"""Share of a machine's memory that Ray gives to tasks and actors; the rest is its object store's."""


@dataclass(frozen=True)
class Node:
    """The CPUs, GPUs and memory of one machine of a cluster.

    Attributes:
        cpus: number of CPUs, as Ray counts them.
        gpus: number of GPUs, as Ray counts them.
        memory: bytes of main memory that Ray may give away.
        gpu_memory: bytes free on one of its GPUs; None if it has none or does not tell.
        gpu_precision: what `auto` means there; fp32 where it is not known.
        kind: of its GPUs, as Ray names it; empty where it is not known.
        id: that Ray gives it.
    """

    cpus: float
    gpus: float
    memory: float
    gpu_memory: float | None = None
    gpu_precision: str = "fp32"
    kind: str = ""
    id: str = ""


def this_machine() -> Node:
    """Return the CPUs, GPUs and memory of this machine, roughly as Ray would count them."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = _count_gpus()
    return Node(cpus, gpus, RAYS_SHARE * main_memory(), *(_look_at_gpu() if gpus else ()))


def _count_gpus() -> int:
    """Return how many GPUs this process sees."""
    import torch  # 3 s of CPU, which workers that fetch and write need not spend

    return torch.cuda.device_count()


def _look_at_gpu() -> tuple[float, str]:
    """Return the bytes free on this process' GPU, and what precision `auto` means there."""
    import torch

    from nst_kernel.encoder import resolve_precision

    return torch.cuda.mem_get_info()[0], resolve_precision("auto", torch.device("cuda"))


LOOK = 0.01
"""Share of a GPU that a look at its memory reserves."""


def look_at_gpus(nodes: Sequence[str], *, gpus_each: float = LOOK, seconds: float = 60) -> dict[str, tuple[float, str]]:
    """Return by node the bytes free on a GPU there and what `auto` means to it, without nodes that answer too late.

    The task on each node reserves so little of a GPU that it need not wait for others' work.

    Args:
        nodes: ids of nodes that have GPUs.
        gpus_each: share of a GPU that the task on a node reserves.
        seconds: to wait for all answers together.
    """
    look = ray.remote(max_calls=1)(_look_at_gpu)  # its process ends, and gives back what CUDA took
    answers = {
        node: look.options(
            num_cpus=0, num_gpus=gpus_each, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        ).remote()
        for node in nodes
    }
    until = time.monotonic() + seconds
    known = {}
    for node, answer in answers.items():
        try:
            known[node] = ray.get(answer, timeout=max(0.0, until - time.monotonic()))
        except ray.exceptions.RayError as error:  # a timeout is one
            log.warning("the memory of node %s's GPUs is not known: %s", node, error)
            if isinstance(error, ray.exceptions.GetTimeoutError):
                ray.cancel(answer)
    return known
