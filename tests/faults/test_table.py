"""The fault table: a fast play of two faults, and each of them many times by the self-test that users run."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from jobs.selftest.chaos import hooks
from jobs.selftest.chaos.faults import FAULTS
from jobs.selftest.chaos.scenario import Harness
from pipeline.options import MAX_ATTEMPTS, Decoding, Resources
from pipeline.planning import Batch, Failure, Fetched, Optimised
from pipeline.stages import fetch
from tests.bench.stub import StubKernel
from tests.e2e.conftest import as_csv, furnish
from tests.support import REPOSITORY
from tests.support.without_ray import without_ray

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


def test_a_row_that_ends_its_process_is_quarantined_alone(
    tmp_path: Path, local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One such row in decoding and one in optimising, each in a batch with good ones."""
    studio, begun = furnish(tmp_path), tmp_path / "begun"

    # Local, so that they travel to workers by value.
    def exiting_fetch(batch: Batch, limits: Decoding) -> Fetched:
        if any(planned.row.id == "exit-in-fetch" for planned in batch.rows):
            os._exit(1)
        return fetch(batch, limits)

    class ExitingKernel(StubKernel):
        def __call__(self, fetched: Fetched) -> Optimised:
            pairs = zip(fetched.batch.rows, fetched.pictures, strict=True)
            ids = [planned.row.id for planned, pictures in pairs if not isinstance(pictures, Failure)]
            with begun.open("a") as file:
                file.write("".join(f"{row_id}\n" for row_id in ids))
            if "exit-in-optimise" in ids:
                os._exit(1)
            return super().__call__(fetched)

    monkeypatch.setattr(import_module("pipeline.flow.dataset"), "fetch", exiting_fetch)
    ids = ["exit-in-fetch", "a", "b", "exit-in-optimise", "c", "d"]
    rows: list[dict[str, object]] = [
        {"id": row_id, "content": "photo.png", "style": "painting.png", "seed": seed} for seed, row_id in enumerate(ids)
    ]
    manifest, resources = studio.write("rows.csv", as_csv(rows)), Resources(num_actors=1, batch_size=3)
    progress = studio.run(manifest, resources=resources, kernel=ExitingKernel)
    assert dict(progress.counts) == {"ok": 4, "quarantined": 2}
    results = studio.results()
    assert {row_id for row_id, row in results.items() if row["status"] == "quarantined"} == {i for i in ids if "-" in i}
    times = Counter(begun.read_text().split())
    assert times["exit-in-fetch"] == 0
    assert times["exit-in-optimise"] == MAX_ATTEMPTS
    assert sum(times[row_id] for row_id in "cd") <= 2 * MAX_ATTEMPTS
    again = studio.run(manifest, resources=resources, kernel=ExitingKernel)
    assert (again.total, again.done_before, again.quarantined_before) == (0, 4, 2)


def test_the_self_test_finds_bad_pictures_to_fail_alone(tmp_path: Path, local_ray: None) -> None:
    uninstall = hooks.install()
    harness = Harness(str(tmp_path), "local", random.Random(0))
    harness.draw_pictures()
    try:
        with without_ray():
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
