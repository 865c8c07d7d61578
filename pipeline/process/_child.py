"""The program of a child process: it answers calls until its parent is gone. `children` starts and asks it.

A message is a pickle of protocol 5. The large buffers of arrays follow it, so that they are not copied on the way.
"""

import contextlib
import logging
import os
import pickle
import signal
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

IDLE = 60.0
"""Seconds without a call after which a child ends, and gives back some 50 MB."""

BEGUN = b"!"
"""What a child sends once a call begins: all that is to be imported for it is, which takes long on a busy machine."""

_NUMBER = struct.Struct("!Q")


@dataclass(frozen=True)
class Budget:
    """What one call may take.

    Attributes:
        seconds: after which the process is ended.
        memory: bytes of data that the process may have.
    """

    seconds: float
    memory: int


@dataclass(frozen=True)
class Answer:
    """What a call came to.

    Attributes:
        value: what the function returned; None if it raised.
        error: what it raised; None if it returned.
        records: what was logged meanwhile: logger, level, message.
    """

    value: Any
    error: BaseException | None
    records: tuple[tuple[str, int, str], ...]


def send(connection: socket.socket, message: object) -> None:
    """Send an object; raises OSError if the other end is gone."""
    buffers: list[pickle.PickleBuffer] = []
    parts = [memoryview(pickle.dumps(message, 5, buffer_callback=buffers.append)), *(each.raw() for each in buffers)]
    connection.sendall(b"".join(_NUMBER.pack(number) for number in (len(parts), *(part.nbytes for part in parts))))
    for part in parts:
        connection.sendall(part)


def receive(connection: socket.socket) -> tuple[bytearray, ...]:
    """Return the parts of a message, for `loads`; raises EOFError or OSError if the other end is gone."""
    (count,) = _NUMBER.unpack(_exactly(connection, _NUMBER.size))
    sizes = [_NUMBER.unpack(_exactly(connection, _NUMBER.size))[0] for _ in range(count)]
    return tuple(_exactly(connection, size) for size in sizes)


def loads(parts: tuple[bytearray, ...]) -> Any:
    """Return the object that a message holds."""
    return pickle.loads(parts[0], buffers=parts[1:])


def _exactly(connection: socket.socket, size: int) -> bytearray:
    """Return so many bytes from the other end."""
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = connection.recv_into(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return data


class _Records(logging.Handler):
    """What is logged in this process, as texts: the parent passes it on."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.kept.append((record.name, record.levelno, record.getMessage()))

    def take(self) -> tuple[tuple[str, int, str], ...]:
        """Return what was kept since the last call."""
        kept, self.kept = tuple(self.kept), []
        return kept


def serve(descriptor: int) -> None:
    """Answer calls one after the other, until there was none for a while or the parent is gone.

    Args:
        descriptor: of this end of the connection.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    records = _Records()
    logging.getLogger().addHandler(records)
    connection = socket.socket(fileno=descriptor)
    with contextlib.suppress(OSError):  # where memory is short, the system ends a child first
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
    # From here on only libraries write to it, about pictures that are somebody's fault.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    while True:
        try:
            connection.settimeout(IDLE)
            connection.recv(1, socket.MSG_PEEK)
            connection.settimeout(None)
            budget, request = loads(receive(connection)), receive(connection)
            call = _call_of(request)
            del request
            connection.sendall(BEGUN)
            answer = _answer(budget, call, records)
            del call
            _send_answer(connection, answer)
        except (EOFError, OSError):
            return


def _call_of(request: tuple[bytearray, ...]) -> Callable[[], Any]:
    """Return the call that is asked for, with everything imported; one that raises why, where there is none."""
    try:
        function, arguments = loads(request)
    except Exception as error:
        return partial(_raise, error.with_traceback(None))
    return partial(function, *arguments)


def _raise(error: Exception) -> None:
    raise error


def _answer(budget: Budget, call: Callable[[], Any], records: _Records) -> Answer:
    """Carry out a call within its budget: beyond its time the kernel ends this process, whatever it is doing."""
    value: Any = None
    error: BaseException | None = None
    _limit_memory(budget.memory)
    signal.setitimer(signal.ITIMER_REAL, budget.seconds)
    try:
        value = call()
    except Exception as raised:
        error = raised.with_traceback(None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _limit_memory(None)
    return Answer(value, error, records.take())


def _send_answer(connection: socket.socket, answer: Answer) -> None:
    """Send an answer, or what stands for one that cannot be pickled."""
    try:
        send(connection, answer)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        send(connection, Answer(None, RuntimeError(f"{answer.error or answer.value!r}: {error}"), answer.records))


def _limit_memory(size: int | None) -> None:
    """Let this process have so many bytes of data; None: any number."""
    import resource

    most = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = most if size is None else size if most == resource.RLIM_INFINITY else min(size, most)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, most))
