"""Whether Ray is emptying the node of this process, which a preempted node says while it still has time.

`ray start --block`, as Kubernetes runs it, answers SIGTERM by draining its node for up to 30 s
(RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S); the signal itself does not reach the actors.
"""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

SECONDS = 2.0
"""Between two looks; one takes Ray some milliseconds."""


def node_is_draining() -> bool:
    """Whether it is; False outside of Ray, and where this version of Ray does not tell."""
    try:
        import ray

        # Ray Data looks here too; there is no public way.
        draining = ray._private.state.state.get_draining_nodes()
        return ray.get_runtime_context().get_node_id() in draining
    except Exception as error:  # a private function may do anything; the signal and saving now and then remain
        log.debug("whether the node is draining is not known: %s", error)
        return False


def watch(
    told: Callable[[], None],
    *,
    look: Callable[[], bool] = node_is_draining,
    seconds: float = SECONDS,
    name: str = "draining",
) -> threading.Event:
    """Call `told` once when a look says so, from a thread of that name; the event ends it."""
    over = threading.Event()

    def looking() -> None:
        while not over.wait(seconds):
            if look():
                told()
                return

    threading.Thread(target=looking, name=name, daemon=True).start()
    return over
