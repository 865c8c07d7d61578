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
    ray = sys.modules.get("ray")
    if code not in (ExitCode.INTERRUPTED, ExitCode.TERMINATED) or ray is None or not ray.is_initialized():
        sys.exit(code)
    ray.shutdown()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code))
