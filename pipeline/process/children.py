"""Child processes that carry out calls within limits of time and memory: a crash there is an error here.

What foreign bytes do to a decoder cannot be foreseen: it may crash, never end, or ask for all memory there is. In a
child process that costs no more than the call. Children are started when they are first needed, a third of a second
each, stay for further calls, and end when there are none for a minute, or with their parent; one that died is replaced.

They are plain programs rather than `multiprocessing`'s: that would import the parent's main module, which may be a
script that starts a run.
"""

import atexit
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from pipeline.process import _child, watchdog
from pipeline.process._child import Answer, Budget

__all__ = ["AT_ONCE", "Budget", "Crashed", "TimedOut", "call"]

T = TypeVar("T")

AT_ONCE = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
"""Children at work at a time: one for each CPU, and few, since each may take all of its memory."""

_GRACE = 10.0
"""Seconds beyond its budget after which a child is killed from here: its own timer does not run while it is stopped."""

START = 300.0
"""Seconds within which a call must begin: a child may have to be started and to import what it needs. That takes half
a second, but much longer on a machine that is busy, and is no fault of what is decoded."""

_POLL = 1.0
"""Seconds between two signs of life to the watchdog, while a child works."""

_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from pipeline.process._child import serve
serve(int(sys.argv[2]))
"""

# Each would start a thread for every CPU, of which a child has no use.
_ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

_slots = threading.BoundedSemaphore(AT_ONCE)
_lock = threading.Lock()
_idle: list["_Child"] = []


class TimedOut(RuntimeError):
    """Raised when a call took longer than its budget allows; its process was ended."""


class Crashed(RuntimeError):
    """Raised when the process of a call died; the message says how, such as `SIGSEGV`."""


class _Ended(Exception):
    """Raised when a child had ended for want of calls just when one came."""


class _Child:
    """A child process."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = [sys.executable, "-c", _PROGRAM, json.dumps(sys.path), str(theirs.fileno())]
            self.process = subprocess.Popen(
                arguments,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **_ENVIRONMENT},
            )
        self.connection = ours
        self.connection.settimeout(_POLL)

    def ask(self, budget: Budget, function: Callable[..., T], arguments: tuple[object, ...]) -> Answer:
        """Have a call carried out.

        Raises:
            TimedOut: if it took longer than the budget allows.
            Crashed: if the process died.
            _Ended: if it had ended for want of calls.
        """
        began, most = time.monotonic(), START
        try:
            self.connection.settimeout(None)
            _child.send(self.connection, budget)
            _child.send(self.connection, (function, arguments))
            self._wait(began + START)
            if not self.connection.recv(len(_child.BEGUN)):
                raise EOFError
            began, most = time.monotonic(), budget.seconds
            self._wait(began + budget.seconds + _GRACE)
            answer: Answer = _child.loads(_child.receive(self.connection))
            return answer
        except (EOFError, OSError):
            code = self.end()
            # Its timer began a moment before `began`, where this process had to wait for a CPU.
            if code == -signal.SIGALRM or time.monotonic() - began >= most:
                raise TimedOut(f"it took longer than {most:g} s") from None
            if code == 0:
                raise _Ended from None
            raise Crashed(signal.Signals(-code).name if code < 0 else f"exit code {code}") from None

    def _wait(self, until: float) -> None:
        """Wait for an answer; raise TimeoutError if none has begun by a moment of the monotonic clock."""
        self.connection.settimeout(_POLL)
        while True:
            try:
                self.connection.recv(1, socket.MSG_PEEK)
                break
            except TimeoutError:
                if time.monotonic() > until:
                    raise
                watchdog.alive()
        self.connection.settimeout(None)

    def end(self) -> int:
        """End the process, unless it has died by itself, and return its exit code; a negative one is a signal's."""
        self.connection.close()
        self.process.kill()  # without effect on one that has ended
        return self.process.wait()


def call(budget: Budget, function: Callable[..., T], *arguments: object) -> T:
    """Carry out a function in a child process.

    What it logs there, from warnings on, is logged here.

    Args:
        budget: what it may take.
        function: of a module, by its name there.
        *arguments: of the function; these and what it returns are pickled.

    Raises:
        TimedOut: if it took longer than the budget allows.
        Crashed: if the process died.
        MemoryError: if it needed more memory than the budget allows, and noticed.
        Exception: whatever the function raised.
    """
    with _slots:
        answer = _ask(budget, function, arguments)
    for name, level, message in answer.records:
        logging.getLogger(name).log(level, "%s", message)
    if answer.error is not None:
        raise answer.error
    value: T = answer.value
    return value


def _ask(budget: Budget, function: Callable[..., T], arguments: tuple[object, ...]) -> Answer:
    """Have a call carried out by a child that waits for work, or a new one."""
    child = _take()
    try:
        answer = child.ask(budget, function, arguments)
    except _Ended:
        return _ask(budget, function, arguments)
    except BaseException:  # also an interruption: its answer would be taken for that of the next call
        child.end()
        raise
    with _lock:
        _idle.append(child)
    return answer


def _take() -> _Child:
    """Return a child that waits for work, or a new one."""
    while True:
        with _lock:
            child = _idle.pop() if _idle else None
        if child is None:
            return _Child()
        if child.process.poll() is None:
            return child
        child.end()  # the system killed it while it was idle


def _end_all() -> None:
    """End the children that wait for work."""
    with _lock:
        while _idle:
            _idle.pop().end()


def _forget() -> None:
    """Leave the children to the parent of this process, which was forked."""
    global _slots, _lock
    _slots, _lock = threading.BoundedSemaphore(AT_ONCE), threading.Lock()
    for child in _idle:
        child.connection.close()
    _idle.clear()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_forget)
