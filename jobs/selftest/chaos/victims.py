"""Who is at work on which rows, as the ledger says, and how a process on any machine of the cluster is ended."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.outputs import provenance
from pipeline.recovery import Attempt, ledger

PATIENCE = 60.0


def at_work(output: str) -> list[Attempt]:
    """What actors are optimising; or were, when they died."""
    return [attempt for attempt in ledger.read_attempts(output) if attempt.stage == "optimise"]


def end(attempt: Attempt, number: int) -> float | None:
    """Send a signal to the process of an attempt, and wait until it is gone; when that was, seconds since 1970, UTC.

    Returns:
        None if it was gone before.
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
    if not _is_rays(pid):  # who kills by number looks at what has it
        return None
    os.kill(pid, number)
    until = time.monotonic() + PATIENCE
    while _is_rays(pid):
        if time.monotonic() > until:
            raise TimeoutError(f"process {pid} lives {PATIENCE:g} s after signal {number}")
        time.sleep(0.02)
    return time.time()


def _is_rays(pid: int) -> bool:
    """Whether this is a living worker of Ray; as Linux tells it."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::")
    except OSError:
        return False
