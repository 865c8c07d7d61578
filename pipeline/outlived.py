"""Actors that outlive their run: Ray lets what they are at come to its end, which may take them an hour."""

import contextlib
import logging
import os
import threading

from pipeline import draining, ledger, lock, storage

log = logging.getLogger(__name__)

SECONDS = 15.0
"""Between two looks, each a request."""


def leave_after(run: ledger.Ledger, *, seconds: float = SECONDS) -> threading.Event:
    """End this process once its run no longer holds the lock of its output; the event calls that off.

    The run was stopped, or another one took its place: nobody waits for what is at work here.
    """
    return draining.watch(_leave, look=lambda: is_over(run), seconds=seconds, name="outlived")


def is_over(run: ledger.Ledger) -> bool:
    """Whether a run has ended, for all that is known."""
    try:
        return not lock.is_held_by(run.run, run.output)
    except storage.StorageError as error:
        log.warning("whether the run is still there is not known: %s", error)
        return False


def _leave() -> None:
    log.warning("leaving: the run is over")
    with contextlib.suppress(storage.StorageError):  # its rows stay suspect then, which costs time and no row
        ledger.leave_in_order()
    os._exit(1)  # a process that is simply gone, as in `preemption`
