"""Runs of a job in this process, without Ray: for tests of what a run writes, and of which rows it computes."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import pytest

from pipeline.cluster.actor_pool import ActorPool
from pipeline.cluster.nodes import this_machine
from pipeline.options import Resources
from tests.e2e.support.in_process import flow


@contextmanager
def without_ray() -> Iterator[None]:
    """Have runs within this block plan for this machine and compute in this process."""

    def pool(resources: Resources) -> ActorPool:
        return ActorPool.on([this_machine()], resources)

    run = import_module("pipeline.flow.run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "connect", lambda _: None)
        patch.setattr(run, "pool_on_cluster", pool)
        patch.setattr(run, "flow", flow)
        yield
