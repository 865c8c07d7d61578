"""Memory while there are millions of rows: Python's search for reference cycles, and what Arrow keeps for later."""

import contextlib
import gc
from collections.abc import Iterator

MUCH = 2**26
"""Bytes of Arrow from which on a search for what holds them is worth its time: some tenths of a second."""


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Pause the search for reference cycles within this block, or within a function that this decorates.

    The search looks at all objects each time their number has grown by a quarter: with a million rows it takes a third
    of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def give_back() -> None:
    """Give memory back that Arrow keeps for later; of much, also what frames of errors hold, which are in cycles."""
    import pyarrow as pa  # by who has columns alone

    pool = pa.default_memory_pool()
    if pool.bytes_allocated() > MUCH:
        gc.collect()
    pool.release_unused()
