"""Whoever waits is woken, wherever they wait; who does not wait any more is left alone."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.process.interrupt import Woken, wakeable


def test_a_main_thread_that_waits_for_a_lock_is_woken() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    never = threading.Lock()
    never.acquire()
    with wakeable() as wake:
        threading.Timer(0.3, wake).start()
        with pytest.raises(Woken):
            never.acquire()
    assert signal.getsignal(signal.SIGUSR1) == before


def test_other_threads_are_left_alone() -> None:
    def work() -> str:
        with wakeable() as wake:
            wake()
            return "done"

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == "done"
