"""The end of a process that has computed rows."""

import logging
import os
import sys
from typing import NoReturn

from jobs.exit_codes import ExitCode


def leave(code: str | int | None) -> NoReturn:
    """End this process with an exit code; after a run on Ray that was interrupted, without more ado.

    Such a run has left threads in Ray. At the usual end of the interpreter they are ended in the middle of C++, which
    aborts the process: its exit code would be 134, and nobody would put its job into a queue again.

    Raises:
        SystemExit: where nothing was interrupted, or this process is connected to no cluster.
    """
    if code not in (ExitCode.INTERRUPTED, ExitCode.TERMINATED) or not is_connected():
        sys.exit(code)
    sys.modules["ray"].shutdown()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code))


def is_connected() -> bool:
    """Return whether this process is connected to a Ray cluster, without loading Ray to find out."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())
