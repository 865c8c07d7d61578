"""Python's search for cycles, left out where millions of objects are made and none is in a cycle."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Until this is left. The search looks at all that is there each time it has grown by a quarter: of a million rows
    it takes a third of the time. Also a decorator."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
