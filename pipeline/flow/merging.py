"""The merging of results while a run goes on: in a task of its own, so that no actor waits for it."""

import contextlib
import logging
from types import TracebackType
from typing import Any, Self

import ray

from pipeline import storage
from pipeline.cluster import ActorPool
from pipeline.outputs import compact

PARTS = 10_000
"""Parts of results after which they are merged: a run after a crash then has few files to read. It takes a minute or
more, while which actors go on."""

MANY = 500
"""Parts of a run's end from which on a task merges them: of about as many rows, the driver would keep the memory."""

log = logging.getLogger(__name__)


class Merging:
    """Merges the parts of results again and again within a `with` block, one task at a time.

    Only the holder of the run lock may use it. What a task leaves undone, since it failed or its process died, the next
    one does, or the end of the run: every row is in a whole file at any time.
    """

    def __init__(self, output: str, pool: ActorPool) -> None:
        """Prepare to merge.

        Args:
            output: of the run.
            pool: on whose nodes the tasks are.
        """
        merge = storage.Carried(compact)
        self._merge: Any = ray.remote(lambda: merge(output)).options(max_retries=0, **pool.stage_options(0.0))
        self._parts = 0
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def part_is_there(self) -> None:
        """Count a part that was committed, and begin to merge if there are many."""
        self._parts += 1
        if self._parts >= PARTS and self._is_free():
            self._parts, self._task = 0, self._merge.remote()

    def _is_free(self) -> bool:
        """Return whether no task is at work, and say why the last one failed if it did."""
        if self._task is None:
            return True
        ready, _ = ray.wait([self._task], timeout=0)
        if ready:
            self._end()
        return bool(ready)

    def _end(self) -> None:
        """Wait for the task."""
        try:
            ray.get(self._task)
        except Exception as error:  # a later one does it: no row depends on it
            log.warning("results could not be merged meanwhile: %s", error)
        self._task = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if error is None:
            if self._task is not None:
                self._end()
            if self._parts >= MANY:
                self._task = self._merge.remote()
                self._end()
        elif self._task is not None:
            with contextlib.suppress(Exception):
                ray.cancel(self._task, force=True)
