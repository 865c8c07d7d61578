"""Waking a main thread that waits for something else: Ray Data gives no way to leave off waiting for a row."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Woken(KeyboardInterrupt):
    """Raised in a thread that was woken. No `except Exception` on the way takes it for a failure of its own."""


@contextlib.contextmanager
def wakeable() -> Iterator[Callable[[], None]]:
    """Until this is left, what is given here raises `Woken` in the main thread, whatever that waits for.

    A signal does it, since nothing else ends the wait for a lock. On other threads, and where there is no SIGUSR1, it
    does nothing.
    """
    main = threading.main_thread()
    if threading.current_thread() is not main or not hasattr(signal, "SIGUSR1") or main.ident is None:
        yield lambda: None
        return
    ident = main.ident

    def wake(*_: Any) -> None:
        raise Woken

    before = signal.signal(signal.SIGUSR1, wake)
    try:
        yield lambda: signal.pthread_kill(ident, signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
