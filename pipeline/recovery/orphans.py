"""Actors that outlive their run: Ray lets what they are at come to its end, which may take them an hour."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable

from pipeline import storage
from pipeline.process import draining
from pipeline.recovery import ledger
from pipeline.recovery import run_lock as lock

log = logging.getLogger(__name__)

SECONDS = 15.0
"""Between two looks, each a request."""


def exit_when_run_ends(run: ledger.Ledger, *, seconds: float = SECONDS) -> threading.Event:
    """End this process once its run no longer holds the lock of its output; the event calls that off.

    The run was stopped, or another one took its place: nobody waits for what is at work here.
    """
    over = run_end_check(run)
    over()  # as it is there now, if it can be seen from here at all
    return draining.watch(_leave, look=over, seconds=seconds, name="outlived")


def run_end_check(run: ledger.Ledger) -> Callable[[], bool]:
    """What says whether a run is over, for all that is known; to be asked time and again.

    A lock that was never seen from here says nothing: the output may be a folder that this machine does not share.
    """
    seen = False

    def over() -> bool:
        nonlocal seen
        try:
            owner = lock.owner_of(run.output)
        except storage.StorageError as error:
            log.warning("whether the run is still there is not known: %s", error)
            return False
        seen = seen or owner == run.run
        return owner != run.run and (seen or owner is not None)

    return over


def _leave() -> None:
    log.warning("leaving: the run is over")
    with contextlib.suppress(storage.StorageError):  # its rows stay suspect then, which costs time and no row
        ledger.withdraw_own()
    os._exit(1)  # a process that is simply gone, as in `preemption`
