"""Whether Ray drains the node of this process, which a preempted node announces while it still has time.

`ray start --block`, as Kubernetes runs it, reacts to SIGTERM by draining its node for up to 30 s
(RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S); the signal itself does not reach the actors.
"""

import logging
import threading
from collections.abc import Callable

from pipeline.process.polling import call_when

log = logging.getLogger(__name__)

SECONDS = 2.0
"""Between two requests to Ray, each of which takes some milliseconds."""


def node_is_draining() -> bool:
    """Return whether Ray drains the node of this process; False outside of Ray, and where Ray does not tell."""
    try:
        import ray

        # Ray Data uses the same private function; there is no public one.
        draining = ray._private.state.state.get_draining_nodes()
        return ray.get_runtime_context().get_node_id() in draining
    except Exception as error:  # a private function may raise anything; SIGTERM and periodic saving remain
        log.debug("whether the node is draining is not known: %s", error)
        return False


def watch(callback: Callable[[], None]) -> threading.Event:
    """Call a function once, from another thread, when the node of this process is drained.

    Returns:
        An event that ends the watch when it is set.
    """
    return call_when(node_is_draining, callback, seconds=SECONDS, name="draining")
