"""Whoever waits is woken, wherever they wait; who does not wait any more is left alone."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.process.interrupt import MainThreadInterrupted, interruptible


def test_a_main_thread_that_waits_for_a_lock_is_woken() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    never = threading.Lock()
    never.acquire()
    with interruptible() as interrupt:
        threading.Timer(0.3, interrupt).start()
        with pytest.raises(MainThreadInterrupted):
            never.acquire()
    assert signal.getsignal(signal.SIGUSR1) == before


def test_other_threads_are_left_alone() -> None:
    def work() -> str:
        with interruptible() as interrupt:
            interrupt()
            return "done"

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == "done"
