"""Worker processes of the Ray cluster that this process started, as Linux shows them."""

import os
from pathlib import Path


def workers() -> list[int]:
    """Their process ids."""
    found = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [pid for pid in found if read(pid, "cmdline").startswith("ray::") and _is_ours(pid)]


def actors() -> list[int]:
    """Those of the actors that stylise."""
    return [pid for pid in workers() if "MapWorker" in read(pid, "cmdline")]


def actors_at_work() -> list[int]:
    """Those that are at a block: Ray says in a process' title what it does."""
    return [pid for pid in actors() if ".submit" in read(pid, "cmdline")]


def peak_memory(pid: int) -> int:
    """Bytes that a process ever had in memory; 0 once it is gone."""
    lines = [line.split() for line in read(pid, "status").splitlines() if line.startswith("VmHWM:")]
    return int(lines[0][1]) * 1024 if lines else 0


def read(pid: int, name: str) -> str:
    """A file of /proc; nothing where the process is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _is_ours(pid: int) -> bool:
    while pid > 1 and pid != os.getpid():
        stat = read(pid, "stat")
        pid = int(stat.rpartition(")")[2].split()[1]) if stat else 0
    return pid == os.getpid()
