"""What this machine has."""

import contextlib
import os
from pathlib import Path


def main_memory() -> int:
    """Return the bytes of main memory of this machine, or of the container that this process is in."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text("ascii")))
    return memory
