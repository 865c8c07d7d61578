"""A plan that takes several datasets: every row once, and few files of results whenever a dataset is through."""

import dataclasses
from collections import Counter
from importlib import import_module

import pytest

from pipeline import storage
from pipeline.flow import plan_parts, run
from pipeline.options.interruptions import Interruptions
from pipeline.options.resources import Resources
from pipeline.options.run_options import RunOptions
from pipeline.outputs import table as result_table
from pipeline.outputs.compact import compact
from pipeline.planning import Fetched, Optimised
from pipeline.stages import ResumableOptimisation
from tests.bench.stub import StubKernel
from tests.e2e.conftest import QUICK, Studio, as_csv


def test_parts_are_run_one_after_the_other(
    studio: Studio, bucket: str, local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its workers read and write lies in an object store."""
    home = f"{bucket}/{studio.folder.name}"
    for name in ("photo.png", "painting.png"):
        storage.write_bytes(f"{home}/{name}", (studio.folder / name).read_bytes())
    monkeypatch.setattr(plan_parts, "PART", 3)
    monkeypatch.setattr(plan_parts, "PART_PER_ACTOR", 1)
    monkeypatch.setattr(plan_parts, "SHARDS", 2)
    files: list[int] = []

    def compacted(output: str) -> list[str]:
        files.append(len(result_table.parts(output)))
        return compact(output)

    for module in ("pipeline.flow.run", "pipeline.flow.dataset"):
        monkeypatch.setattr(import_module(module), "compact", compacted)
    rows: list[dict[str, object]] = [
        {"content": "photo.png", "style": "painting.png", "seed": seed, "width": 64, "height": 48} for seed in range(5)
    ]
    rows[3] |= {"width": 48, "height": 64}

    class Noting(StubKernel):  # local, so that it travels to actors by value
        def __init__(self, weights: str, *, threads: int | None, resumable: ResumableOptimisation) -> None:
            super().__init__(weights)
            self.given = f"{weights} {bool(threads)} {resumable.output} {resumable.interruptions.row_timeout}"

        def __call__(self, fetched: Fetched) -> Optimised:
            return dataclasses.replace(super().__call__(fetched), device=self.given)

    resources = Resources(num_actors=1, batch_size=1, interruptions=Interruptions(row_timeout=99))
    storage.write_bytes(f"{home}/rows.csv", as_csv(rows).encode())
    output = f"{home}/out"
    options = RunOptions(output=output, resources=resources)
    progress = run(f"{home}/rows.csv", options, defaults=QUICK, kernel=Noting)
    assert progress.counts == {"ok": 4, "failed": 1}, progress.failures
    results = result_table.read_results(output).to_pylist()
    assert Counter(row["status"] for row in results) == {"ok": 4, "failed": 1}
    assert "width and height say 48 x 64" in next(text for _, text in progress.failures)
    done = [row for row in results if row["status"] == "ok"]
    assert {row["device"] for row in done} == {f"embedded#sha256={done[0]['encoder_sha256']} True {output} 99.0"}
    assert all(storage.read_bytes(row["output"]) for row in done)
    assert files == [2, 4]  # of a part's batches; of the second with what the one before it came to
