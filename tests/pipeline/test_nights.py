"""Which run a folder stands for."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import results
from pipeline.nights import run_of
from pipeline.storage import StorageError

NIGHTS = ("2026-01-01-a", "2026-01-02-b", "2026-01-03-c")


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    for night in NIGHTS:
        output = tmp_path / "runs" / night
        results.commit(str(output), [{"id": "a", "status": "ok", "finished_at": results.now()}])
        if night != NIGHTS[1]:  # which broke off
            (output / "run.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    "said", [{"output": "runs/2026-01-03-c"}, {"run": NIGHTS[2], "output": ""}, {"id": NIGHTS[2], "date": "2026-01-03"}]
)
def test_a_grid_stands_for_its_latest_complete_run(grid: Path, said: dict[str, Any]) -> None:
    (grid / "latest.json").write_text(json.dumps(said))
    assert run_of(str(grid)) == str(grid / "runs" / NIGHTS[2])
    assert run_of(f"{grid}@previous") == str(grid / "runs" / NIGHTS[0])
    assert run_of(str(grid / "runs" / NIGHTS[1])) == str(grid / "runs" / NIGHTS[1])


def test_a_first_night_has_none_before_it(grid: Path) -> None:
    (grid / "latest.json").write_text(json.dumps({"id": NIGHTS[0]}))
    with pytest.raises(ValueError, match="no complete run before"):
        run_of(f"{grid}@previous")


def test_a_folder_that_stands_for_nothing_is_said(grid: Path) -> None:
    with pytest.raises(StorageError, match=r"expected .*/results/\*\.parquet, or latest\.json"):
        run_of(str(grid))
    for text, said in (("{", "expected JSON"), ("[]", "names the last complete run")):
        (grid / "latest.json").write_text(text)
        with pytest.raises(ValueError, match=said):
            run_of(str(grid))
