"""What child processes are asked to do in tests."""

import ctypes
import logging
import os
import time

import numpy as np
from numpy.typing import NDArray


def pid() -> int:
    return os.getpid()


def halved(levels: NDArray[np.float64]) -> NDArray[np.float64]:
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


def complain() -> None:
    raise ValueError("as it should")


def complain_oddly() -> None:
    """Raise what cannot be pickled and read back."""
    raise Odd(1, 2)
