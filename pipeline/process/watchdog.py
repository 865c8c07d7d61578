"""A watchdog that ends a process which hangs: an endless loop in a decoder or a driver raises nothing and never ends.

It is faulthandler's, a thread in C, so that code which never releases the interpreter's lock is ended too, and the
worker's log has the stacks. To the ledger such an end is a crash like any other.
"""

import contextlib
import faulthandler
import time
from collections.abc import Iterator

_STDERR = 2
_REST = 1.0
"""Seconds within which further signs of life are ignored, since setting the timer anew takes a system call."""

_seconds: float | None = None
_armed_at = 0.0


@contextlib.contextmanager
def watching(seconds: float) -> Iterator[None]:
    """End this process if it spends too long within this block without a sign of life (`alive`).

    A process has one watchdog: blocks must not be nested.

    Args:
        seconds: after which the process is ended, counted from the last sign of life.

    Raises:
        ValueError: unless `seconds` is above 0.
    """
    global _seconds
    if not seconds > 0:
        raise ValueError(f"stall_timeout = {seconds}: expected seconds, more than 0")
    _seconds = seconds
    _arm()
    try:
        yield
    finally:
        _seconds = None
        faulthandler.cancel_dump_traceback_later()


def alive() -> None:
    """Give a sign of life; it may be called as often as one likes, and does nothing outside of `watching`."""
    if _seconds is not None and time.monotonic() - _armed_at >= min(_REST, _seconds / 10):
        _arm()


def _arm() -> None:
    """Start the timer anew."""
    global _armed_at
    if _seconds is not None:
        _armed_at = time.monotonic()
        faulthandler.dump_traceback_later(_seconds, exit=True, file=_STDERR)
