"""Threads that wait for a condition and then call a function, once."""

import threading
from collections.abc import Callable


def call_when(
    condition: Callable[[], bool], callback: Callable[[], None], *, seconds: float, name: str
) -> threading.Event:
    """Check a condition from time to time in a thread, and call a function once it holds.

    Args:
        condition: is checked; an exception in it ends the thread.
        callback: is called in the thread.
        seconds: between two checks; the first one is made after as many.
        name: of the thread.

    Returns:
        An event that ends the thread when it is set.
    """
    ended = threading.Event()

    def poll() -> None:
        while not ended.wait(seconds):
            if condition():
                callback()
                return

    threading.Thread(target=poll, name=name, daemon=True).start()
    return ended
