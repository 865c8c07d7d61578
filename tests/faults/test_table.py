"""The fault table: a fast play of one fault, and each of them many times by the self-test that users run."""

import functools
import json
import random
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from jobs.selftest.chaos import hooks
from jobs.selftest.chaos.faults import FAULTS
from jobs.selftest.chaos.scenario import Harness
from tests.bench.stub import StubKernel
from tests.support import REPOSITORY

Outcomes = list[dict[str, Any]]

TIMES = {
    "driver killed at 10 %": 10,
    "driver killed at 50 %": 10,
    "driver killed at 90 %": 10,
    "actors killed every few seconds": 10,
    "actor told to go (SIGTERM) in each row": 4,  # three each
    "poison: exit": 1,
    "poison: segfault": 1,
    "poison: kill": 1,
    "poison: loop": 1,
    "poison: stuck": 1,
    "30 % of storage requests fail": 3,
    "two runs on one output": 5,
    "bad pictures": 1,
}


def played(fault: str, times: int, output: str, environment: Mapping[str, str] | None = None) -> Outcomes:
    """What `nst selftest --chaos` says of each play of a fault, once they all held."""
    words = ["selftest", "--chaos", "--json", "--only", fault, "--repeat", str(times), "--output", output]
    return outcomes([sys.executable, "-m", "jobs.cli", *words], environment)


def outcomes(command: list[str], environment: Mapping[str, str] | None = None) -> Outcomes:
    """What a program of plays prints, once they all held."""
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=3600
    )
    assert done.stdout, done.stderr[-3000:]
    found: Outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [outcome for outcome in found if not outcome["ok"]] == []
    assert done.returncode == 0, done.stderr[-3000:]
    return found


@pytest.mark.usefixtures("without_ray")
def test_the_self_test_finds_bad_pictures_to_fail_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a good picture becomes is not the point.
    scenario = import_module("jobs.selftest.chaos.scenario")
    monkeypatch.setattr(scenario, "run", functools.partial(scenario.run, kernel=StubKernel))
    monkeypatch.setattr(
        ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "here", get_actor_id=str)
    )
    uninstall = hooks.install()
    harness = Harness(str(tmp_path), "local", random.Random(0))
    harness.draw_pictures()
    try:
        outcome = FAULTS["bad pictures"](harness)
    finally:
        uninstall()
    assert outcome.ok, outcome
    assert outcome.strokes == 13


def test_every_fault_of_the_self_test_is_played() -> None:
    assert TIMES.keys() == FAULTS.keys()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("fault", TIMES)
def test_nothing_is_lost(fault: str, tmp_path: Path) -> None:
    found = played(fault, TIMES[fault], str(tmp_path))
    assert len(found) == TIMES[fault]
    assert sum(outcome["strokes"] for outcome in found) >= (10 if "SIGTERM" in fault else TIMES[fault])


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="asks Linux how much memory there is")
def test_a_row_that_takes_all_memory_is_quarantined_alone(tmp_path: Path) -> None:
    (outcome,) = outcomes([sys.executable, "-m", "tests.faults.support.memory_hog", str(tmp_path)])
    assert outcome["strokes"] == 2
