"""What the machines of a cluster have."""

import contextlib
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

log = logging.getLogger(__name__)

RAYS_SHARE = 0.7
"""Of a machine's memory, that Ray gives to tasks and actors; the rest is its object store's."""


@dataclass(frozen=True)
class Node:
    """What one machine of a cluster has.

    Attributes:
        cpus: as Ray counts them.
        gpus: likewise.
        memory: bytes of main memory that Ray may give away.
        gpu_memory: bytes free on one of its GPUs; None if it has none or does not tell.
        gpu_precision: what `auto` means there; fp32 where it is not known.
    """

    cpus: float
    gpus: float
    memory: float
    gpu_memory: float | None = None
    gpu_precision: str = "fp32"


def this_machine() -> Node:
    """What this machine has, about as Ray would count it."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = RAYS_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # a container may have less than its machine
        memory = min(memory, RAYS_SHARE * int(Path("/sys/fs/cgroup/memory.max").read_text("ascii")))
    gpus = _count_gpus()
    return Node(cpus, gpus, memory, *(_look_at_gpu() if gpus else ()))


def _count_gpus() -> int:
    """Return how many GPUs this process sees."""
    import torch  # 3 s of CPU, which workers that fetch and write need not spend

    return torch.cuda.device_count()


def _look_at_gpu() -> tuple[float, str]:
    """Bytes free on this process' GPU, and what precision `auto` means there."""
    import torch

    from nst_kernel.encoder import resolve_precision

    return torch.cuda.mem_get_info()[0], resolve_precision("auto", torch.device("cuda"))


def look_at_gpus(nodes: Sequence[str], *, gpus_each: float = 0.01, seconds: float = 60) -> dict[str, tuple[float, str]]:
    """By node, the bytes free on a GPU there and what `auto` means to it; one that does not tell in time is left out.

    A sliver of a GPU does for asking, so that the question need not wait for others' work.
    """
    look = ray.remote(max_calls=1)(_look_at_gpu)  # its process ends, and gives back what CUDA took
    asked = {
        node: look.options(
            num_cpus=0, num_gpus=gpus_each, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        ).remote()
        for node in nodes
    }
    until = time.monotonic() + seconds
    told = {}
    for node, question in asked.items():
        try:
            told[node] = ray.get(question, timeout=max(0.0, until - time.monotonic()))
        except ray.exceptions.RayError as error:  # a timeout is one
            log.warning("the memory of node %s's GPUs is not known: %s", node, error)
            if isinstance(error, ray.exceptions.GetTimeoutError):
                ray.cancel(question)
    return told
