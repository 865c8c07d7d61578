"""Real runs in this process, but for Ray."""

from importlib import import_module

import pytest

from pipeline.cluster.actor_pool import ActorPool
from pipeline.cluster.nodes import Node
from pipeline.options import Resources
from tests.e2e.support.in_process import flow


def compute_here(patch: pytest.MonkeyPatch) -> None:
    """Let runs have one actor on a machine with one CPU, which is this process."""
    module = import_module("pipeline.flow.run")
    patch.setattr(module, "connect", lambda _: None)
    patch.setattr(module, "pool_on_cluster", pool_of_one)
    patch.setattr(module, "flow", flow)


def pool_of_one(resources: Resources) -> ActorPool:
    """A pool on a machine with one CPU."""
    return ActorPool.on([Node(1, 0, 8e9)], resources)
