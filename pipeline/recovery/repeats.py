"""Whether Ray runs a task again, since a process crashed that had begun it: what needs no record in storage."""

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar

_told: ContextVar[bool | None] = ContextVar("begun before", default=None)


def begun_before() -> bool:
    """Return whether the work of this process was begun before by a process that ended, or whose node did.

    Ray counts the attempts at a task. It does not count those at a call of an actor, which a restarted actor gets
    again, so that the answer is False there. Without Ray nobody repeats anything.
    """
    told = _told.get()
    if told is not None:
        return told
    ray = sys.modules.get("ray")  # a process that has not loaded it runs no task
    if ray is None or not ray.is_initialized():
        return False
    from ray._private.worker import global_worker

    core = getattr(global_worker, "core_worker", None)
    count: Callable[[], int] | None = getattr(core, "get_current_task_attempt_number", None)
    return count is None or count() > 0  # a version of Ray that does not tell: better one request too many


def took_anothers_place() -> bool:
    """Return whether this process is an actor that Ray started in the place of one that ended."""
    import ray

    with warnings.catch_warnings():  # of a name that Ray uses itself
        warnings.simplefilter("ignore", DeprecationWarning)
        is_so: bool = ray.get_runtime_context().was_current_actor_reconstructed
    return is_so


@contextlib.contextmanager
def telling(is_so: bool) -> Iterator[None]:
    """Tell for the work within this block whether it was begun before, in a task that has more work than this."""
    token = _told.set(is_so)
    try:
        yield
    finally:
        _told.reset(token)
