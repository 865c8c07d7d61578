"""A call in a child process that hangs, crashes or takes too much memory is an error, and the next call works."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.process import children
from pipeline.process.children import Budget, Crashed, TimedOut, call
from tests.pipeline.support import calls

AMPLE = Budget(60.0, 1024**3)
BRIEF = Budget(0.3, 1024**3)


def test_values_errors_and_log_lines_come_back(caplog: pytest.LogCaptureFixture) -> None:
    levels = np.arange(1e6)
    np.testing.assert_array_equal(call(AMPLE, calls.halved, levels), levels / 2)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [("elsewhere", "1000000 levels")]
    with pytest.raises(ValueError, match="as it should"):
        call(AMPLE, calls.complain)


def test_what_cannot_be_pickled_is_an_error() -> None:
    with pytest.raises(Exception, match=r"odd|Odd"):
        call(AMPLE, calls.complain_oddly)
    with pytest.raises(Exception, match="pickle"):
        call(AMPLE, lambda: 1)
    assert call(AMPLE, calls.pid) != os.getpid()


@pytest.mark.parametrize(("function", "arguments"), [(calls.loop_for_ever, ()), (calls.sleep_in_c, (60,))])
def test_a_call_that_does_not_end_is_ended(function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    call(AMPLE, calls.pid)
    with pytest.raises(TimedOut, match=r"longer than 0\.3 s"):
        call(BRIEF, function, *arguments)
    assert call(AMPLE, calls.pid)


def test_the_time_until_a_call_begins_is_not_its_own() -> None:
    """On a busy machine it takes longer than reading the header of a picture may."""
    assert call(BRIEF, str, calls.Late(0.6)) == "late"


def test_a_timer_ends_a_call_for_its_time_whatever_the_clock_here_says() -> None:
    """A parent that waits for a CPU hears late that the call began, and counts less than its budget until its end."""
    with pytest.raises(TimedOut, match="longer than 60 s"):
        call(AMPLE, signal.raise_signal, signal.SIGALRM)


def test_a_child_that_does_not_begin_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    call(AMPLE, calls.pid)  # there is a child now, which takes a call at once
    monkeypatch.setattr(children, "START", 0.2)
    monkeypatch.setattr(children, "_POLL", 0.05)
    with pytest.raises(TimedOut, match=r"longer than 0\.2 s"):
        call(AMPLE, str, calls.Late(20))


def test_a_child_that_is_stopped_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_GRACE", 0.2)
    monkeypatch.setattr(children, "_POLL", 0.1)
    with pytest.raises(TimedOut, match=r"longer than 0\.3 s"):
        call(BRIEF, calls.stop)


@pytest.mark.parametrize(("function", "why"), [(calls.crash, "SIGSEGV"), (calls.leave, "exit code 3")])
def test_a_crash_is_an_error(function: Callable[[], None], why: str) -> None:
    with pytest.raises(Crashed, match=why):
        call(AMPLE, function)
    assert call(AMPLE, calls.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not count data alone")
def test_memory_beyond_the_budget_is_refused() -> None:
    assert call(AMPLE, calls.take, 600 * 1024**2)
    with pytest.raises(MemoryError):
        call(Budget(60.0, 512 * 1024**2), calls.take, 600 * 1024**2)
    assert call(AMPLE, calls.take, 600 * 1024**2), "the next budget is the next call's"


def test_a_child_stays_for_further_calls_and_is_replaced_when_it_died() -> None:
    first = call(AMPLE, calls.pid)
    assert call(AMPLE, calls.pid) == first
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert call(AMPLE, calls.pid) != first


def test_a_child_that_ended_for_want_of_calls_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it ends between the look at it and the call, and nobody blames the call."""
    child = call(AMPLE, calls.pid)
    (idle,) = [each for each in children._idle if each.process.pid == child]
    idle.connection.shutdown(socket.SHUT_WR)  # to the child as if nobody would ever ask again
    assert os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    with monkeypatch.context() as patch:
        patch.setattr(idle.process, "poll", lambda: None)
        assert call(AMPLE, calls.pid) != child


def test_no_more_children_work_than_there_are_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_slots", threading.BoundedSemaphore(2))
    seen: set[int] = set()
    threads = [threading.Thread(target=lambda: seen.add(call(AMPLE, calls.take_and_stay, 0.05))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) <= 2


def test_an_interruption_does_not_leave_its_answer_to_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: object, until: float) -> None:
        raise KeyboardInterrupt

    first = call(AMPLE, calls.pid)
    with monkeypatch.context() as patch:
        patch.setattr(children._Child, "_wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            call(AMPLE, calls.pid)
    np.testing.assert_array_equal(call(AMPLE, calls.halved, np.ones(3)), np.full(3, 0.5))
    assert call(AMPLE, calls.pid) != first


def test_a_fork_has_children_of_its_own() -> None:
    ours = call(AMPLE, calls.pid)
    reader, writer = os.pipe()
    forked = os.fork()
    if not forked:
        os.write(writer, str(call(AMPLE, calls.pid)).encode())
        os._exit(0)
    os.waitpid(forked, 0)
    assert int(os.read(reader, 20)) != ours
    assert call(AMPLE, calls.pid) == ours


@pytest.mark.parametrize("end", ["pass", "os._exit(0)"])
def test_children_end_with_their_parent(end: str) -> None:
    script = f"""
import os, sys
from pipeline.process.children import Budget, call
from tests.pipeline.support import calls
print(call(Budget(60.0, 2**30), calls.pid), flush=True)
{end}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert not done.stderr
    until = time.monotonic() + 30
    while _lives(int(done.stdout)):
        assert time.monotonic() < until
        time.sleep(0.02)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_main_module_of_a_script_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pipeline.process.children import Budget, call\n"
        "from tests.pipeline.support import calls\n"
        "print('begun')\n"
        "call(Budget(60.0, 2**30), calls.pid)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "begun\n"
