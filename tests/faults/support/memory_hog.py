"""A scenario with rows that take memory until Ray's memory monitor ends them.

`python -m tests.faults.support.memory_hog FOLDER`.

The monitor's threshold is set some gigabytes above what is used now, so that nothing else on the machine is in want.
Prints a JSON object.
"""

import dataclasses
import json
import os
import random
import sys
from pathlib import Path

from jobs.selftest.chaos.faults import poisoned
from jobs.selftest.chaos.scenario import Harness, connect

HEADROOM = 5 << 30
"""Bytes for the cluster, its actors, and a good start for the hog."""


def main(home: str) -> None:
    """Scenario once, on a cluster of its own."""
    os.environ.update({"RAY_memory_usage_threshold": f"{threshold():.4f}"})  # Ray spells it so
    harness = Harness(home, connect("local"), random.Random(0))
    harness.draw_pictures()
    outcome = poisoned(harness, how="hog")
    print(json.dumps({"ok": outcome.ok, **dataclasses.asdict(outcome)}), flush=True)


def threshold() -> float:
    """The share of this machine's memory that is used now, and the headroom."""
    lines = (line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    found = {name: 1024 * int(value.split()[0]) for name, value in lines}
    return min(0.95, 1 - (found["MemAvailable"] - HEADROOM) / found["MemTotal"])


if __name__ == "__main__":
    main(*sys.argv[1:])
