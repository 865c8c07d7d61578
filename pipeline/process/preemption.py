"""SIGTERM, which Ray and Kubernetes send some seconds ahead to what runs on a machine that will be taken away."""

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
    """A request that this process ends soon, which long work looks at so that it can save its state first.

    A process that is idle, or has worked for a short time only, ends at once and loses that work. Either way Ray starts
    another actor and gives it the batch again.

    Ray constructs actors in their main thread, the only one that may set a handler, and calls them in another one,
    while the main thread waits in a loop that lets handlers run: so a signal is handled at once during any work.

    Attributes:
        worth_saving: seconds of unsaved work from which on it is saved before the process ends.
        requested: whether SIGTERM came while there was work worth saving.
        draining: whether Ray drains the node of this process.
        before_leaving: is called before the process ends on request.
    """

    def __init__(self, worth_saving: float) -> None:
        """Set the handler of SIGTERM, if this is the main thread.

        Args:
            worth_saving: seconds of unsaved work from which on it is saved before the process ends.
        """
        self.worth_saving, self.requested, self.draining = worth_saving, False, False
        self._unsaved_since: float | None = None
        self.before_leaving: Callable[[], None] = lambda: None
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_signal)
        else:
            log.info("SIGTERM is not looked at: handlers can be set in a main thread only")

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Count the time within this block as unsaved work; a process that shall end does not enter it."""
        if self.requested:
            self.leave()
        self._unsaved_since = time.monotonic()
        try:
            yield
        finally:
            self._unsaved_since = None

    def saved(self) -> None:
        """Count unsaved work from now on, since the state was saved."""
        self._unsaved_since = time.monotonic()

    def leave(self) -> NoReturn:
        """End this process.

        This is not done by an exception: SystemExit, which Ray's own handler raises too, is to Ray Data a failure of
        the job. A process that is simply gone is one that it replaces.
        """
        log.warning("leaving on SIGTERM")
        try:
            self.before_leaving()
        finally:
            os._exit(1)

    def on_draining(self) -> None:
        """Record that this node will be taken away: short work may finish, long work should be saved.

        Ray places no more work on such a node, so that ending before there is something to lose gains nothing.
        """
        self.draining = True

    @property
    def wanted(self) -> bool:
        """Whether the work at hand should be saved now, and this process end."""
        return self.requested or (self.draining and self._is_worth_saving)

    @property
    def _is_worth_saving(self) -> bool:
        """Whether as much work is unsaved as is worth the time of saving it."""
        since = self._unsaved_since
        return since is not None and time.monotonic() - since >= self.worth_saving

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Handle SIGTERM: end at once if little is lost, else ask the work to save its state."""
        if not self._is_worth_saving:
            self.leave()
        self.requested = True
