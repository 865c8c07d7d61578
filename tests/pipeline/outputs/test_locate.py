"""Which run a folder stands for."""

import json
from pathlib import Path

import pytest

from pipeline.outputs import provenance
from pipeline.outputs import table as result_table
from pipeline.outputs.locate import run_of
from pipeline.storage import StorageError

RUNS = ("2026-01-01T010000Z-0123abcd", "2026-01-02T010000Z-0123abcd", "2026-01-03T010000Z-0123abcd")


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    (tmp_path / "history").mkdir()
    for grid_run in RUNS:
        result_table.commit(
            str(tmp_path / "runs" / grid_run), [{"id": "a", "status": "ok", "finished_at": provenance.now()}]
        )
        broke_off = grid_run == RUNS[1]
        end = None if broke_off else "2026-01-03T02:00:00+00:00"
        said = {"id": grid_run, "grid": "a", "name": "n", "began_at": "2026-01-01T01:00:00+00:00", "rows": 1}
        (tmp_path / "history" / f"{grid_run}.json").write_text(json.dumps(said | {"finished_at": end}))
    return tmp_path


def test_a_grid_stands_for_its_latest_complete_run(grid: Path) -> None:
    (grid / "latest.json").write_text(json.dumps({"run": RUNS[2], "folder": f"runs/{RUNS[2]}"}))
    assert run_of(str(grid)) == str(grid / "runs" / RUNS[2])
    assert run_of(f"{grid}@previous") == str(grid / "runs" / RUNS[0])
    assert run_of(str(grid / "runs" / RUNS[1])) == str(grid / "runs" / RUNS[1])


def test_a_run_that_was_continued_later_is_the_later_one(grid: Path) -> None:
    continued = grid / "history" / f"{RUNS[0]}.json"
    continued.write_text(continued.read_text().replace("2026-01-03T02", "2026-01-04T02"))
    (grid / "latest.json").write_text(json.dumps({"run": RUNS[0]}))
    assert run_of(f"{grid}@previous") == str(grid / "runs" / RUNS[2])


def test_a_first_run_has_none_before_it(grid: Path) -> None:
    (grid / "latest.json").write_text(json.dumps({"run": RUNS[0]}))
    with pytest.raises(ValueError, match="no complete run before"):
        run_of(f"{grid}@previous")


def test_a_folder_that_stands_for_nothing_is_said(grid: Path) -> None:
    for name in (str(grid), f"{grid}@previous"):
        with pytest.raises(StorageError, match=r"expected .*/results/\*\.parquet, or a grid's latest\.json"):
            run_of(name)
    for text in ("{", "[]", "{}", '{"run": ""}', '{"run": "../../other"}', '{"run": 7}'):
        (grid / "latest.json").write_text(text)
        with pytest.raises(ValueError, match="names a run"):
            run_of(str(grid))
