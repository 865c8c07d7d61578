"""What starting takes: CPU seconds of commands, and of each process of a run until its first batch is at work.

CPU seconds hold on a machine that does something else besides; the seconds on the clock want an idle one.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.processes import family
from tests.bench.throughput import prepare

NST = (sys.executable, "-m", "jobs.cli")
EVERY = 0.05
"""Seconds between two looks at the processes of a run."""

AT_WORK = "ray::MapWorker(Map(_Stylise)).submit"
"""What Ray calls an actor while it has a batch."""

TASKS = ("ray::FlatMap(", "ray::Map(")
"""How Ray calls a task that fetches, and one that writes."""

ROWS = "ROWS"
"""What stands for the manifest in the words of a command."""

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "nst --help": ("--help",),
    "nst validate, 100 rows": ("validate", ROWS),
    "nst plan, 100 rows": ("plan", ROWS, "--set", "size=64", "--rate", "1e9"),
}


def starting(home: Path, *, rounds: int = 3) -> dict[str, Any]:
    """Return medians over some rounds; one before them, which is not counted, compiles and fills caches."""
    many, one = prepare(home / "many", 100, 64), prepare(home / "one", 1, 64)
    commands: dict[str, list[dict[str, float]]] = {name: [] for name in COMMANDS}
    runs: list[dict[str, float]] = []
    for turn in range(rounds + 1):
        words = ("run", one, "--output", str(home / f"out{turn}"), "--set", "iterations=1", "--num-actors", "1")
        runs.append(_run((*words, "--set", "size=64")))
        for name, given in COMMANDS.items():
            commands[name].append(_command([many if word == ROWS else word for word in given]))
    return {
        "rounds": rounds,
        "commands": {name: _medians(found[1:]) for name, found in commands.items()},
        "run": _medians(runs[1:]),
    }


def _medians(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in found) for name in found[0]}


def _environment() -> dict[str, str]:
    """As it is where the project is installed: with compiled code beside the source."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _command(words: Sequence[str]) -> dict[str, float]:
    """CPU seconds, and those on the clock, of a command."""
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run((*NST, *words), env=_environment(), check=True, capture_output=True)
    seconds, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "seconds": seconds}


def _run(words: Sequence[str]) -> dict[str, float]:
    """CPU seconds by kind of process of a run with one row, until its actor has its first batch, and when that is.

    A task is what reads or writes: what it took in all, with its row.
    """
    cpu, names = dict[int, float](), defaultdict[int, set[str]](set)
    found: dict[str, float] = {}
    clock = time.perf_counter()
    with subprocess.Popen((*NST, *words), env=_environment(), stdout=subprocess.DEVNULL) as driver:
        while driver.poll() is None:
            for process in family(driver.pid).values():
                cpu[process.pid] = process.cpu
                names[process.pid].add(process.name)
                if process.name == AT_WORK and not found:
                    found = {"seconds": time.perf_counter() - clock, "actor": process.cpu}
            if found and "all" not in found:
                found |= {"driver": cpu[driver.pid], "all": sum(cpu.values())}
            time.sleep(EVERY)
    assert driver.returncode == 0
    assert found, f"no process was called {AT_WORK}: is this how Ray calls an actor that works?"
    tasks = [seconds for pid, seconds in cpu.items() if any(name.startswith(TASKS) for name in names[pid])]
    return {**found, "task": max(tasks)}
