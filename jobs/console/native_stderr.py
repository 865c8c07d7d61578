"""Hide messages that native code writes to the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def native_stderr_hidden(*, unless: bool = False) -> Iterator[None]:
    """Keep what Ray's C++ side writes to file descriptor 2 off the terminal; Python's own stderr still gets there."""
    if unless:
        yield
        return
    kept, python, nowhere = os.dup(2), sys.stderr, os.open(os.devnull, os.O_WRONLY)
    try:
        with os.fdopen(os.dup(kept), "w", encoding=python.encoding, errors="backslashreplace") as sys.stderr:
            os.dup2(nowhere, 2)
            yield
    finally:
        sys.stderr = python
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
