"""The report of many rows, made beside the process that asks for it."""

import contextlib
import logging
import logging.handlers
import queue
from collections.abc import Callable, Iterator
from typing import Any

from pipeline import storage
from pipeline.report.copier import is_connected
from pipeline.report.page import write_report

WORTH_A_TASK = 20_000
"""Rows from which on a report takes several hundred megabytes, which a driver would keep."""

log = logging.getLogger(__name__)


def write_report_beside(output: str, *, rows: int, hourly_price: float | None, thumbnail_seconds: float) -> str:
    """Write the report of a run, that of many rows in a task of the Ray cluster that this process is connected to.

    The task is on this machine, so that it has the same folders.

    Args:
        output: the folder given to the run.
        rows: of its results, about.
        hourly_price: dollars for an hour of one device.
        thumbnail_seconds: after which no more thumbnails are begun.

    Returns:
        The URI of index.html.

    Raises:
        StorageError: if there are no results, they cannot be read, or the report cannot be written.
        ray.exceptions.RayError: if the task's process ended before it was done.
    """

    def write() -> str:
        return write_report(output, hourly_price=hourly_price, thumbnail_seconds=thumbnail_seconds)

    return _in_a_task(write) if rows >= WORTH_A_TASK and is_connected() else write()


def _in_a_task(write: Callable[[], str]) -> str:
    """Return what a function returns in a task on this machine, and log the warnings of it here."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    carried: storage.Carried[Any, Any] = storage.Carried(_with_warnings)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    begin: Any = ray.remote(lambda: carried(write)).options(num_cpus=0, max_retries=0, scheduling_strategy=here)
    task = begin.remote()
    try:
        page, warnings = ray.get(task)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except BaseException:
        ray.cancel(task, force=True)
        raise
    for warning in warnings:
        log.warning("%s", warning)
    return str(page)


def _with_warnings(write: Callable[[], str]) -> tuple[str, list[str]]:
    """Return what a function returns, and the warnings that were logged meanwhile."""
    with _logged() as warnings:
        page = write()
    return page, warnings


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """Keep the warnings that are logged within this block."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    kept, warnings = logging.handlers.QueueHandler(records), list[str]()
    kept.setLevel(logging.WARNING)
    ours = logging.getLogger("pipeline")
    ours.addHandler(kept)
    try:
        yield warnings
    finally:
        ours.removeHandler(kept)
        while not records.empty():
            warnings.append(records.get().getMessage())
