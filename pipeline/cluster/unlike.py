"""GPUs that are unlike each other, that do not tell their memory, that others hold, or that are still to come."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence

from ray._private.state import state

from pipeline.cluster.nodes import Node

log = logging.getLogger(__name__)

SIMILAR = 0.75
"""Share of the largest free memory of a GPU that another one has at least to be of the same class."""

MOST_TO_COME = 100
"""GPUs that a run waits for at most, of a cluster that has no limit."""


def with_memory_by_kind(nodes: Sequence[Node]) -> list[Node]:
    """Return nodes with their GPUs' memory, that of other GPUs of the kind where a node does not report its own.

    A GPU that others hold tells nothing; its own memory is free once it is given to a run.
    """
    least: dict[str, Node] = {}
    for node in nodes:
        if node.gpu_memory and node.kind:
            known = least.setdefault(node.kind, node)
            if node.gpu_memory < (known.gpu_memory or 0):
                least[node.kind] = node
    return [
        dataclasses.replace(node, gpu_memory=like.gpu_memory, gpu_precision=like.gpu_precision)
        if not node.gpu_memory and (like := least.get(node.kind))
        else node
        for node in nodes
    ]


def largest(nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes whose GPUs have the most memory, or nearly as much; none where no node reports it."""
    known = [node.gpu_memory for node in nodes if node.gpu_memory]
    return [node for node in nodes if node.gpu_memory and node.gpu_memory >= SIMILAR * max(known)]


def selector_of(chosen: Sequence[Node], others: Sequence[Node]) -> dict[str, str]:
    """Return the labels by which Ray finds some nodes and not the others: by their GPUs' kind, else one by one.

    A kind also finds nodes that join later.
    """
    kinds = {node.kind for node in chosen}
    if "" not in kinds and kinds.isdisjoint(node.kind for node in others):
        return {"ray.io/accelerator-type": f"in({','.join(sorted(kinds))})"}
    return {"ray.io/node-id": f"in({','.join(node.id for node in chosen)})"}


def gpus_to_come() -> int:
    """Return how many GPUs the cluster may have at most, as its autoscaler says; 0 where there is none, or no GPU."""
    ask: Callable[[], Mapping[str, int] | None] = state.get_max_resources_from_cluster_config
    return min(MOST_TO_COME, int((ask() or {}).get("GPU", 0)))


def free_places(free: Mapping[str, Mapping[str, float]], needs: Mapping[str, float]) -> int:
    """Return how many actors the nodes of a cluster have room for now.

    Args:
        free: resources of each node that nobody holds.
        needs: resources of an actor.
    """
    return sum(
        min(int(resources.get(name, 0) / need + 1e-3) for name, need in needs.items() if need)
        for resources in free.values()
    )


def say_what_waits(places: int, count: int, *, gpus: bool) -> None:
    """Log that actors wait for devices which others hold, if they do.

    Args:
        places: actors that there is room for now.
        count: actors that there would be room for.
        gpus: whether they need GPUs.
    """
    devices = "GPUs" if gpus else "CPUs"
    if places < 1:
        log.warning(
            "no room for an encoder: other work holds the cluster's %s; the run waits until some are free", devices
        )
    elif places < count:
        log.warning(
            "room for %d of %d encoders: other work holds %s; the others begin once these are free",
            places,
            count,
            devices,
        )
