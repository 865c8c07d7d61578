"""Ends a process that stands still: an endless loop in a decoder or a driver raises nothing and never dies by itself.

The watch is faulthandler's: a thread of its own in C, so that code which never gives up Python's lock is ended too, and
the worker's log says where it stood. To the ledger it is a death like any other.
"""

import contextlib
import faulthandler
import time
from collections.abc import Iterator

_STDERR = 2
_REST = 1.0

_seconds: float | None = None
_armed_at = 0.0


@contextlib.contextmanager
def watching(seconds: float) -> Iterator[None]:
    """End this process unless this block is left, or `alive` is called, within so many seconds; time and again.

    There is one watch in a process: blocks do not nest.

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
    """A sign of life, as often as one likes; of no account outside of `watching`."""
    if _seconds is not None and time.monotonic() - _armed_at >= min(_REST, _seconds / 10):
        _arm()


def _arm() -> None:
    global _armed_at
    if _seconds is not None:
        _armed_at = time.monotonic()
        faulthandler.dump_traceback_later(_seconds, exit=True, file=_STDERR)
