"""Nodes that Ray drains."""

import threading

from pipeline.process import call_when, draining
from pipeline.process.preemption import Preemption


def in_a_thread(worth_saving: float) -> Preemption:
    """One that sets no handler here."""
    made: list[Preemption] = []
    thread = threading.Thread(target=lambda: made.append(Preemption(worth_saving)))
    thread.start()
    thread.join()
    return made[0]


def test_who_watches_is_told_once() -> None:
    checks = iter([False, False, True])
    called = threading.Event()
    call_when(lambda: next(checks), called.set, seconds=0.001, name="test")
    assert called.wait(30)
    assert next(checks, None) is None


def test_a_watch_that_is_ended_calls_nothing() -> None:
    called = threading.Event()
    ended = call_when(lambda: True, called.set, seconds=3600, name="a watch that is ended")
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "a watch that is ended")
    ended.set()
    thread.join(30)
    assert not thread.is_alive()
    assert not called.is_set()


def test_outside_of_ray_no_node_is_draining() -> None:
    assert not draining.node_is_draining()


def test_long_work_on_a_draining_node_is_wanted_saved_and_short_work_is_not() -> None:
    for worth_saving, wanted in [(0.0, True), (100.0, False)]:
        preemption = in_a_thread(worth_saving)
        with preemption.working():
            assert not preemption.wanted
            preemption.on_draining()
            assert preemption.wanted is wanted
        assert not preemption.wanted  # nothing to lose
