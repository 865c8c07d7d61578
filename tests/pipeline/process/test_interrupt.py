"""Whoever waits is woken, wherever they wait; who does not wait any more is left alone."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.process.interrupt import MainThreadInterrupted, interruptible


def test_a_main_thread_that_waits_for_a_lock_is_woken() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    never = threading.Lock()
    never.acquire()

    def wait(interrupt: Callable[[], None]) -> None:
        threading.Timer(0.3, interrupt).start()
        never.acquire()

    with interruptible() as interrupt, pytest.raises(MainThreadInterrupted):  # a busy machine may be late to wait
        wait(interrupt)
    assert signal.getsignal(signal.SIGUSR1) == before


def test_other_threads_are_left_alone() -> None:
    def work() -> str:
        with interruptible() as interrupt:
            interrupt()
            return "done"

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == "done"
