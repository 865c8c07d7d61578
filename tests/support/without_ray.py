"""Runs in this process, without Ray: for tests of which rows a run computes and what it writes.

A run on Ray Data starts an actor, which costs 6 s of CPU whatever it computes.
"""

import functools
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest
import ray

from pipeline.cluster import ActorPool
from pipeline.cluster.nodes import Node
from pipeline.flow.batch_queue import Work
from pipeline.flow.dataset import Kernel, style_actor
from pipeline.options import Resources, RunOptions
from pipeline.recovery import Ledger, guarded_fetch, guarded_optimise, guarded_write
from pipeline.stages import ResumableOptimisation, Writer, fetch


@contextmanager
def without_ray() -> Iterator[None]:
    """Have runs within this block plan for a machine of one CPU, and compute in this process."""

    def pool(resources: Resources) -> ActorPool:
        return ActorPool.on([Node(1, 0, 8e9)], resources)

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("Ray would be started, as it is by itself where something is asked of it")

    run = import_module("pipeline.flow.run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray, "init", refused)
        patch.setattr(run, "connect", lambda _: None)
        patch.setattr(run, "pool_on_cluster", pool)
        patch.setattr(run, "flow", flow)
        yield


def flow(
    work: Work,
    options: RunOptions,
    writer: Writer,
    _pool: object,
    notes: Ledger,
    *,
    kernel: Kernel = style_actor,
) -> Generator[Mapping[str, Any]]:
    """Compute batches as `pipeline.flow.dataset.flow` does, without Ray Data; no states are saved."""
    resumable = ResumableOptimisation(options.resources.interruptions)
    fetched = guarded_fetch(functools.partial(fetch, limits=options.decoding, run=notes.run), notes)
    optimised = guarded_optimise(kernel(options.weights, resumable=resumable), notes)
    written = guarded_write(writer, notes)
    for batch in work:
        yield from written(optimised(fetched(batch)))
