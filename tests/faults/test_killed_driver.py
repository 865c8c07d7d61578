"""The driver of a run is killed without a word: the same command finishes the rest and repeats nothing that is done."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import ledger, results
from tests.e2e.conftest import as_jsonl, furnish
from tests.faults.test_poison import poisoned_run

ROWS = 8


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 4, 7])
def test_a_driver_is_killed_when_some_rows_are_done(after: int, tmp_path: Path) -> None:
    studio = furnish(tmp_path)
    pair = {"content": "photo.png", "style": "painting.png"}
    manifest = studio.write("rows.jsonl", as_jsonl([{**pair, "id": f"{n}", "seed": n} for n in range(ROWS)]))
    command = [sys.executable, "-m", "tests.faults.poisoned_run", manifest, studio.output, "1"]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while driver.poll() is None and len(results.parts(studio.output)) < after:
        time.sleep(0.05)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    done = len(results.parts(studio.output))
    assert done >= after
    second = poisoned_run(manifest, studio.output, 1)
    assert second["quarantined_before"] == 0
    assert second.get("ok", 0) == second["total"] <= ROWS - done
    rows = studio.results()
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert len(rows) == ROWS
    assert all(Path(row["output"]).exists() for row in rows.values())
    assert ledger.read_attempts(studio.output) == []
    assert poisoned_run(manifest, studio.output, 1)["total"] == 0
    assert json.loads(Path(studio.output, "run.json").read_text())["plan"]["done"] == ROWS
