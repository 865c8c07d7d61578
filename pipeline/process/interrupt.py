"""Interruption of the main thread while it waits: Ray Data offers no way to stop waiting for a row."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class MainThreadInterrupted(KeyboardInterrupt):
    """An interruption from another thread; no `except Exception` on the way takes it for a failure of its own."""


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Give a function that, called from any thread within this block, interrupts the main thread.

    `MainThreadInterrupted` is then raised in the main thread, whatever that waits for. It is done by SIGUSR1, since
    nothing but a signal ends the wait for a lock; the handler that was set before is set again at the end of the block.

    Yields:
        The function. It does nothing where this block is not run by the main thread, or where there is no SIGUSR1.
    """
    main = threading.main_thread()
    if threading.current_thread() is not main or not hasattr(signal, "SIGUSR1") or main.ident is None:
        yield lambda: None
        return
    ident = main.ident

    def on_signal(*_: Any) -> None:
        raise MainThreadInterrupted

    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        yield lambda: signal.pthread_kill(ident, signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
