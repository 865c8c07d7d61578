"""Which processes work on which rows, by the ledger, and how one on any machine of the cluster is ended."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.outputs import provenance
from pipeline.recovery import Attempt, ledger

PATIENCE = 60.0
"""Seconds that a process may take to end after a signal."""


def at_work(output: str) -> list[Attempt]:
    """Return the attempts at which actors of an output are optimising, or were when they crashed."""
    return [attempt for attempt in ledger.read_attempts(output) if attempt.stage == "optimise"]


def end(attempt: Attempt, number: int) -> float | None:
    """Send a signal to the process of an attempt, on whatever machine, and wait until it is gone.

    Args:
        attempt: whose process is ended.
        number: of the signal.

    Returns:
        When it was gone, seconds since 1970, UTC; None if it was gone before.

    Raises:
        TimeoutError: if it is still there a minute later.
    """
    if attempt.host == provenance.host():
        return _end(attempt.pid, number)
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    list_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
    for node in list_nodes():
        if node["Alive"] and node["NodeManagerHostname"] == attempt.host:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ending = ray.remote(_end).options(num_cpus=0, scheduling_strategy=there)
            gone: float | None = ray.get(ending.remote(attempt.pid, number))
            return gone
    return None


def _end(pid: int, number: int) -> float | None:
    """Send a signal to a process of this machine and wait until it is gone; returns when that was."""
    if not _is_rays(pid):  # the number may belong to another process by now
        return None
    os.kill(pid, number)
    until = time.monotonic() + PATIENCE
    while _is_rays(pid):
        if time.monotonic() > until:
            raise TimeoutError(f"process {pid} lives {PATIENCE:g} s after signal {number}")
        time.sleep(0.02)
    return time.time()


def _is_rays(pid: int) -> bool:
    """Return whether a process of this machine is a living worker of Ray, by its command line in Linux's /proc."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::")
    except OSError:
        return False
