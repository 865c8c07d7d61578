"""The writing stage: what it says of a row, and in which order things become durable."""

import dataclasses
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nst_kernel import StylizeResult
from pipeline import images, storage
from pipeline.outputs import provenance, read_results
from pipeline.planning import Batch, Fetched, Optimised
from pipeline.stages import Writer
from tests.pipeline.recovery.test_ledger import rows
from tests.support import draw

CURVES = {
    "total": np.array([9.0, 3.0]),
    "content": np.array([5.0, 2.0]),
    "style": np.array([4.0, 1.0]),
    "style/conv1_1": np.array([4.0, 1.0]),
}
RESULT = StylizeResult(draw(1, 16, 24), False, {"total": 3.0, "content": 2.0, "style": 1.0}, CURVES, 2)
"""Each loss is another number."""


def optimised(output: str, *outcomes: StylizeResult) -> Optimised:
    """A batch with these outcomes, which took 6 s to fetch and 30 s to optimise, after 12 s without work."""
    batch = Batch(tuple(rows(len(outcomes))))
    fetched = Fetched(batch, (), provenance.now(), seconds=6.0, row_retries=(0,) * len(outcomes))
    states = (f"{output}/preempted/state.safetensors",)
    return Optimised(fetched, outcomes, "cpu", "fp32", 30.0, 12.0, states)


def write(output: str, *outcomes: StylizeResult) -> list[dict[str, Any]]:
    return Writer(output, encoder="random", encoder_sha256="e")(optimised(output, *outcomes))


def stored(output: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_results(output).to_pylist()
    return found


def test_a_row_that_diverged_is_told_and_stored_as_such(tmp_path: Path) -> None:
    told = write(str(tmp_path), RESULT, dataclasses.replace(RESULT, diverged=True))
    assert [row["status"] for row in told] == ["ok", "diverged"]
    assert [row["status"] for row in stored(str(tmp_path))] == ["ok", "diverged"]


def test_each_loss_is_in_its_own_column(tmp_path: Path) -> None:
    write(str(tmp_path), RESULT)
    (row,) = stored(str(tmp_path))
    assert (row["total_loss"], row["content_loss"], row["style_loss"]) == (3.0, 2.0, 1.0)
    assert (row["width"], row["height"], row["iterations"]) == (24, 16, 2)
    curve = row["curve"]
    assert (curve["total"], curve["content"], curve["style"]) == ([9, 3], [5, 2], [4, 1])
    assert (curve["iteration"], curve["style_layers"]) == ([0, 1], [("conv1_1", [4, 1])])


def test_seconds_of_a_batch_are_shared_by_its_rows(tmp_path: Path) -> None:
    write(str(tmp_path), RESULT, RESULT, RESULT)
    found = stored(str(tmp_path))
    assert [row["seconds"]["fetch"] for row in found] == [2.0] * 3
    assert [row["seconds"]["optimise"] for row in found] == [10.0] * 3
    assert [row["idle_seconds"] for row in found] == [4.0] * 3


def test_pictures_are_whole_before_their_rows_and_rows_before_the_saved_state_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = str(tmp_path)
    state = f"{output}/preempted/state.safetensors"
    storage.write_bytes(state, b"state")
    module = import_module("pipeline.stages.write")
    commit, seen = module.commit, list[bool]()

    def committing(where: str, records: list[dict[str, Any]]) -> str:
        for record in records:
            assert images.decode(Path(record["output"]).read_bytes()).shape == (16, 24, 3)
        seen.append(Path(state).exists())
        part: str = commit(where, records)
        seen.append(Path(state).exists())
        return part

    monkeypatch.setattr(module, "commit", committing)
    write(output, RESULT, RESULT)
    assert seen == [True, True]
    assert not Path(state).exists()


def test_a_process_that_writes_shows_life_after_each_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signs: list[int] = []
    monkeypatch.setattr(
        "pipeline.process.watchdog.alive", lambda: signs.append(len(list(Path(tmp_path, "images").iterdir())))
    )
    write(str(tmp_path), RESULT, RESULT)
    assert signs == [1, 2]
