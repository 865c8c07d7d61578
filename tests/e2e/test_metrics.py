"""Metrics of real runs: they are what became of the rows, once each, though a batch is committed again."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pipeline.flow.metrics import RunMetrics
from pipeline.planning.batch import Optimised
from pipeline.stages.write import Writer
from tests.bench.stub import StubKernel
from tests.e2e.conftest import ROWS, Studio, as_csv
from tests.pipeline.flow.test_metrics import Recorded, record


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with pytest.MonkeyPatch.context() as patch:
        yield record(patch)


def test_rows_are_counted_once_though_their_writer_dies_after_its_commit(
    studio: Studio, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = studio.folder / "died"

    class DyingWriter(Writer):  # local, so that it travels to workers by value
        def __call__(self, optimised: Optimised, places: Sequence[int] | None = None) -> list[dict[str, Any]]:
            rows = super().__call__(optimised, places)
            if not died.exists():
                died.touch()
                os._exit(1)
            return rows

    seen: list[Mapping[str, Any]] = []
    add = RunMetrics.add

    def note(metrics: RunMetrics, row: Mapping[str, Any]) -> None:
        seen.append(row)
        add(metrics, row)

    monkeypatch.setattr(import_module("pipeline.flow.run"), "Writer", DyingWriter)
    monkeypatch.setattr(RunMetrics, "add", note)
    bad: dict[str, object] = {"id": "bad", "content": "gone.png", "style": "painting.png"}
    progress = studio.run(studio.write("rows.csv", as_csv([*ROWS, bad])), kernel=partial(StubKernel, seconds=0.05))
    assert Path(died).exists()
    assert dict(progress.counts) == {"ok": 3, "failed": 1}
    assert sorted(row["id"] for row in seen) == ["bad", "one", "three", "two"]
    assert sum(recorded["nst_rows_total", "ok"]) == 3
    assert sum(recorded["nst_rows_total", "failed"]) == 1
    assert sum(recorded["nst_batch_size", ""]) == 4
    results = studio.results()
    assert sorted(recorded["nst_loss", ""]) == pytest.approx(
        sorted(results[name]["total_loss"] for name in ("one", "two", "three"))
    )
    for stage in ("fetch", "optimise", "write"):
        assert sum(recorded["nst_seconds_total", stage]) == pytest.approx(
            sum(row["seconds"][stage] for row in results.values()), rel=0.5
        )
