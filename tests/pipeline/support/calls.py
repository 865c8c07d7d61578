"""What child processes are asked to do in tests."""

import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # most need none, and each child would load it
    import numpy as np
    from numpy.typing import NDArray


def pid() -> int:
    return os.getpid()


def halved(levels: "NDArray[np.float64]") -> "NDArray[np.float64]":
    logging.getLogger("elsewhere").warning("%d levels", len(levels))
    return levels / 2


def loop_for_ever() -> None:
    while True:
        pass


def sleep_in_c(seconds: float) -> None:
    """Sleep without ever releasing the interpreter's lock."""
    ctypes.PyDLL(None).sleep(int(seconds))


def crash() -> None:
    ctypes.string_at(0)


def leave() -> None:
    os._exit(3)


def take(size: int) -> int:
    return len(bytes(size))


def take_and_stay(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")


def stop() -> None:
    """Stop this process, as a debugger does: no timer of its own ends it."""
    os.kill(os.getpid(), signal.SIGSTOP)


def complain() -> None:
    raise ValueError("as it should")


def complain_oddly() -> None:
    """Raise what cannot be pickled and read back."""
    raise Odd(1, 2)


class Late:
    """A text that takes its time to be unpickled, as a module takes to be imported."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __reduce__(self) -> tuple[Callable[[float], str], tuple[float]]:
        return _late, (self.seconds,)


def _late(seconds: float) -> str:
    time.sleep(seconds)
    return "late"
