"""SIGTERM: Ray and Kubernetes send it, some seconds ahead, to what runs on a machine that will be taken away."""

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

log = logging.getLogger(__name__)


class Preemption:
    """Turns SIGTERM into a wish that long work looks at, so that it can save where it stands before it leaves.

    A process that is idle, or whose work is short so far, goes at once and loses that. Either way Ray starts another
    actor and gives it the block again.

    Ray constructs actors in their main thread, the only one that may set a handler, and calls them in another, beside
    which the main thread waits in a loop that lets handlers run: so a signal is seen at once, in any work.
    """

    def __init__(self, worth_saving: float) -> None:
        """Sets the handler, in a main thread; `worth_saving` is in seconds of work that would be lost."""
        self.worth_saving, self.requested, self.draining = worth_saving, False, False
        self._unsaved_since: float | None = None
        self.before_leaving: Callable[[], None] = lambda: None
        """What is put in order before the process ends."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_signal)
        else:
            log.info("SIGTERM is not looked at: handlers can be set in a main thread only")

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """While there is something to lose. A process that was told to go begins nothing new."""
        if self.requested:
            self.leave()
        self._unsaved_since = time.monotonic()
        try:
            yield
        finally:
            self._unsaved_since = None

    def saved(self) -> None:
        """Nothing is lost but what follows from here."""
        self._unsaved_since = time.monotonic()

    def leave(self) -> NoReturn:
        """End this process.

        Not by an exception: SystemExit, which Ray's own handler raises too, is to Ray Data a failure of the job. A
        process that is simply gone is what it starts again.
        """
        log.warning("leaving on SIGTERM")
        try:
            self.before_leaving()
        finally:
            os._exit(1)

    def on_draining(self) -> None:
        """The node is about to go: what is short may end, what is long is saved.

        Ray places no more work on such a node, so it is no use to leave before there is something to lose.
        """
        self.draining = True

    @property
    def wanted(self) -> bool:
        """Whether work at hand should be saved and left now."""
        since = self._unsaved_since
        return self.requested or (self.draining and since is not None and time.monotonic() - since >= self.worth_saving)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        since = self._unsaved_since
        if since is None or time.monotonic() - since < self.worth_saving:
            self.leave()
        self.requested = True
