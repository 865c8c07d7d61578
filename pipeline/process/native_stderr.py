"""Hide messages that native code writes to the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

DESCRIPTOR = 2
"""Where native code writes what is wrong."""


@contextlib.contextmanager
def native_stderr_hidden(*, unless: bool = False) -> Iterator[None]:
    """Keep what Ray's C++ side writes to file descriptor 2 off the terminal; Python's own stderr still gets there.

    Args:
        unless: whether it is shown after all.
    """
    if unless:
        yield
        return
    kept, python, nowhere = os.dup(DESCRIPTOR), sys.stderr, os.open(os.devnull, os.O_WRONLY)
    try:
        with os.fdopen(os.dup(kept), "w", encoding=python.encoding, errors="backslashreplace") as there:
            if is_native(python):
                sys.stderr = there
            os.dup2(nowhere, DESCRIPTOR)
            yield
    finally:
        sys.stderr = python
        os.dup2(kept, DESCRIPTOR)
        os.close(kept)
        os.close(nowhere)


def is_native(stream: TextIO) -> bool:
    """Return whether a stream of Python writes where native code does; in a notebook it does not."""
    try:
        return stream.fileno() == DESCRIPTOR
    except (AttributeError, OSError, ValueError):  # one that has no descriptor
        return False
