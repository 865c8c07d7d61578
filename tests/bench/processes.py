"""What this process and those below it use, as Linux tells it."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """One of them; CPU seconds include those of its children that have ended."""

    pid: int
    parent: int
    name: str
    cpu: float


def family(root: int | None = None) -> dict[int, Process]:
    """A process and all below it, by process id; by default this one."""
    everyone = {process.pid: process for path in Path("/proc").glob("[0-9]*") if (process := _look(path))}
    ours = {pid: everyone[pid] for pid in (root or os.getpid(),) if pid in everyone}
    while more := {p.pid: p for p in everyone.values() if p.parent in ours and p.pid not in ours}:
        ours |= more
    return ours


def _look(path: Path) -> Process | None:
    try:
        head, _, tail = (path / "stat").read_text().rpartition(")")
        name = (path / "cmdline").read_text(errors="replace").split("\0")[0]
    except OSError:  # it has ended meanwhile
        return None
    fields = tail.split()
    return Process(int(path.name), int(fields[1]), name or head, sum(map(int, fields[11:15])) / TICKS)


def cpu_by_kind(before: dict[int, Process], after: dict[int, Process]) -> dict[str, float]:
    """CPU seconds spent between two looks, by kind of process: driver, workers, and Ray's own."""
    spent = {"driver": 0.0, "workers": 0.0, "ray": 0.0}
    for pid, process in after.items():
        kind = "driver" if pid == os.getpid() else "workers" if process.name.startswith("ray::") else "ray"
        spent[kind] += process.cpu - (before[pid].cpu if pid in before else 0.0)
    return spent


def memory() -> dict[str, int]:
    """Bytes of this process: `resident` in all, `own` without files and memory that it shares with others."""
    lines = (line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    found = {name: value.split()[0] for name, value in lines if name in ("VmRSS", "RssAnon", "VmHWM")}
    return {
        kind: 1024 * int(found[name]) for kind, name in (("resident", "VmRSS"), ("own", "RssAnon"), ("peak", "VmHWM"))
    }
