"""Actors whose run is over: Ray lets them finish their batch, which may take an hour that nobody waits for."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable

from pipeline import storage
from pipeline.process import call_when
from pipeline.recovery import ledger, run_lock

log = logging.getLogger(__name__)


def exit_when_run_ends(run: ledger.Ledger) -> threading.Event:
    """End this process once its run no longer holds the lock of its output, since it was stopped or replaced.

    The lock is read as often as the run renews it, each time by one request to storage.

    Args:
        run: the ledger of the run.

    Returns:
        An event that ends the watch when it is set.
    """
    is_over = run_end_check(run)
    is_over()  # a lock that is given back within the first seconds is so seen at least once
    return call_when(is_over, _leave, seconds=run.lease / run_lock.RENEWALS_PER_LEASE, name="orphans")


def run_end_check(run: ledger.Ledger) -> Callable[[], bool]:
    """Return a function that returns whether a run is over, as far as can be told.

    A lock that this machine never saw tells nothing: the output may be in a folder that is not shared with it.
    """
    seen = False

    def is_over() -> bool:
        nonlocal seen
        try:
            owner = run_lock.owner_of(run.output)
        except storage.StorageError as error:
            log.warning("whether the run is still there is not known: %s", error)
            return False
        seen = seen or owner == run.run
        return owner != run.run and (seen or owner is not None)

    return is_over


def _leave() -> None:
    """Withdraw the attempts of this process and end it."""
    log.warning("leaving: the run is over")
    with contextlib.suppress(storage.StorageError):  # its rows then count as crashed, which costs time and no row
        ledger.withdraw_own()
    os._exit(1)  # to Ray, a process that is gone; see `Preemption.leave`
