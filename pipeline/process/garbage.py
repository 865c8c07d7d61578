"""Memory while there are millions of rows: Python's search for reference cycles, and what Arrow keeps for later."""

import contextlib
import gc
from collections.abc import Iterator


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
    """Give memory back that errors hold, whose frames are in cycles, or that Arrow keeps: much, of a million rows."""
    import pyarrow as pa  # by who has columns alone

    gc.collect()
    pa.default_memory_pool().release_unused()
