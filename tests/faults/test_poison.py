"""Rows that kill the processes of real workers: quarantined alone, every other row is done, and the run ends."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import ledger
from pipeline.results import read_results
from tests.e2e.conftest import as_jsonl, furnish


def poisoned_run(manifest: str, output: str, rows_per_batch: int = 8) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.faults.poisoned_run", manifest, output, str(rows_per_batch)]
    said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert said.returncode == 0, said.stderr[-3000:]
    told: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return told


def test_a_row_that_ends_its_process_is_quarantined_alone(tmp_path: Path) -> None:
    studio = furnish(tmp_path)
    rows = [{"id": name, "content": "photo.png", "style": "painting.png"} for name in ("a", "exit-in-optimise", "z")]
    manifest = studio.write("rows.jsonl", as_jsonl([{**row, "seed": n} for n, row in enumerate(rows)]))
    told = poisoned_run(manifest, studio.output)
    assert told == {"total": 3, "quarantined_before": 0, "ok": 2, "quarantined": 1}
    assert "died 2 times" in studio.results()["exit-in-optimise"]["error"]
    assert ledger.read_attempts(studio.output) == []


@pytest.mark.slow
def test_rows_that_kill_processes_are_quarantined_and_the_others_are_done(tmp_path: Path) -> None:
    studio = furnish(tmp_path)
    pair = {"content": "photo.png", "style": "painting.png"}
    poison = ["exit-in-optimise", "segfault-in-optimise", "segfault-in-fetch", "hog-in-fetch"]
    ids = [*poison[:2], *(f"good-{n}" for n in range(4)), *poison[2:]]
    manifest = studio.write("rows.jsonl", as_jsonl([{**pair, "id": name, "seed": n} for n, name in enumerate(ids)]))
    told = poisoned_run(manifest, studio.output)
    assert told == {"total": 8, "quarantined_before": 0, "ok": 4, "quarantined": 4}
    rows = studio.results()
    assert {name: row["status"] for name, row in rows.items()} == {
        name: "quarantined" if name in poison else "ok" for name in ids
    }
    assert len(read_results(studio.output)) == len(ids)
    for name in poison:
        assert rows[name]["output"] is None
        assert "died 2 times" in rows[name]["error"]
    assert ledger.read_attempts(studio.output) == []
    again = poisoned_run(manifest, studio.output)
    assert again == {"total": 0, "quarantined_before": 4}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["exit", "segfault", "hog"])
@pytest.mark.parametrize("stage", ["fetch", "optimise"])
@pytest.mark.parametrize("rows_per_batch", [1, 3])
def test_each_way_to_die_at_each_stage(how: str, stage: str, rows_per_batch: int, tmp_path: Path) -> None:
    studio = furnish(tmp_path)
    pair = {"content": "photo.png", "style": "painting.png"}
    ids = ["a", f"{how}-in-{stage}", "z"]
    manifest = studio.write("rows.jsonl", as_jsonl([{**pair, "id": name, "seed": n} for n, name in enumerate(ids)]))
    told = poisoned_run(manifest, studio.output, rows_per_batch)
    assert told == {"total": 3, "quarantined_before": 0, "ok": 2, "quarantined": 1}
