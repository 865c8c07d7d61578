"""Where a run computes: the Ray cluster, why it cannot be reached, its nodes and GPUs, and the pool of actors."""

from pipeline.cluster.actor_pool import FETCH_CPUS, WRITE_CPUS, ActorPool, pool_for, pool_on_cluster
from pipeline.cluster.address import check_address
from pipeline.cluster.connection import connect
from pipeline.cluster.nodes import Node

__all__ = [
    "FETCH_CPUS",
    "WRITE_CPUS",
    "ActorPool",
    "Node",
    "check_address",
    "connect",
    "pool_for",
    "pool_on_cluster",
]
