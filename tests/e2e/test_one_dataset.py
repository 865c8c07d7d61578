"""A run is one dataset: its actors start once, and its results are merged beside them."""

import dataclasses
import functools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.flow import blocks, dataset, merging, run
from pipeline.flow.batch_queue import BatchQueue, Work
from pipeline.options.decoding import Decoding
from pipeline.options.interruptions import Interruptions
from pipeline.options.resources import Resources
from pipeline.options.run_options import RunOptions
from pipeline.outputs import table as result_table
from pipeline.planning import Batch, Fetched, Optimised
from pipeline.stages import ResumableOptimisation, fetch
from tests.bench.stub import StubKernel
from tests.e2e.conftest import QUICK, Studio, as_csv


def test_results_are_merged_while_one_actor_computes_all(
    studio: Studio, bucket: str, local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its workers read and write lies in an object store."""
    home = f"{bucket}/{studio.folder.name}"
    for name in ("photo.png", "painting.png"):
        storage.write_bytes(f"{home}/{name}", (studio.folder / name).read_bytes())
    monkeypatch.setattr(merging, "PARTS", 3)
    monkeypatch.setattr(blocks, "BATCHES", 1)
    rows: list[dict[str, object]] = [
        {"content": "photo.png", "style": "painting.png", "seed": seed, "width": 64, "height": 48} for seed in range(8)
    ]
    rows[3] |= {"width": 48, "height": 64}
    output = f"{home}/out"
    merged: list[bool] = []

    def is_merged() -> bool:
        return any("/rest-" in part for part in result_table.parts(output))

    class Noting(StubKernel):  # local, so that it travels to actors by value
        def __init__(self, weights: str, *, threads: int | None, resumable: ResumableOptimisation) -> None:
            super().__init__(weights)
            self.calls = 0
            self.given = f"{weights} {bool(threads)} {resumable.output} {resumable.interruptions.row_timeout}"

        def __call__(self, fetched: Fetched) -> Optimised:
            self.calls += 1
            deadline = time.monotonic() + 60
            # Of the five before, parts are there or will be: whoever merges them does not wait for this actor.
            while self.calls == 6 and not is_merged() and time.monotonic() < deadline:
                time.sleep(0.05)
            return dataclasses.replace(super().__call__(fetched), device=f"{self.given} {os.getpid()}")

    resources = Resources(num_actors=1, batch_size=1, interruptions=Interruptions(row_timeout=99))
    storage.write_bytes(f"{home}/rows.csv", as_csv(rows).encode())
    options = RunOptions(output=output, resources=resources)
    progress = run(
        f"{home}/rows.csv",
        options,
        defaults=QUICK,
        kernel=Noting,
        on_progress=lambda _: merged.append(is_merged()),
    )
    assert progress.counts == {"ok": 7, "failed": 1}, progress.failures
    results = result_table.read_results(output).to_pylist()
    assert Counter(row["status"] for row in results) == {"ok": 7, "failed": 1}
    assert "width and height say 48 x 64" in next(text for _, text in progress.failures)
    done = [row for row in results if row["status"] == "ok"]
    (device,) = {row["device"] for row in done}
    assert device.startswith(f"embedded#sha256={done[0]['encoder_sha256']} True {output} 99.0 ")
    assert all(storage.read_bytes(row["output"]) for row in done)
    assert merged[-1]  # before the run was through
    assert len(result_table.parts(output)) == 1


DEATHS = {2: 0, 14: 6}
"""How many batches a reader has begun to fetch, in all its lives, when it dies, and how many are done by then."""


def test_a_reader_that_dies_goes_on_where_it_was(
    studio: Studio, local_ray: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ray repeats its task from the start; what is done is not fetched again, and what is not is fetched for sure.

    Three batches flow together, as they are short.
    """
    rows: list[dict[str, object]] = [
        {"content": "photo.png", "style": "painting.png", "seed": seed} for seed in range(12)
    ]
    manifest = studio.write("rows.csv", as_csv(rows))

    def dying(batch: Batch, limits: Decoding, run: str) -> Fetched:  # local, so that it travels by value
        seed = batch.rows[0].row.params.seed
        with (tmp_path / "fetched").open("a") as file:
            file.write(f"{seed}\n")
        began = len((tmp_path / "fetched").read_text().split())
        for dies_at, done in DEATHS.items():
            died = tmp_path / f"died-{dies_at}"
            if began >= dies_at and not died.exists():
                until = time.monotonic() + 60
                while len(list(tmp_path.glob("done-*"))) < done and time.monotonic() < until:
                    time.sleep(0.05)
                died.write_text(str(seed))
                os._exit(1)
        return fetch(batch, limits, run=run)

    class Noting(BatchQueue):
        def __init__(self, work: Work, readers: int, share_of_block: Callable[[Batch], float]) -> None:
            super().__init__(work, min(readers, 1), share_of_block)

        def done(self, numbers: Iterable[int]) -> None:
            super().done(numbers)
            for number in numbers:
                (tmp_path / f"done-{number}").touch()

    monkeypatch.setattr(dataset, "fetch", dying)
    monkeypatch.setattr(dataset, "BatchQueue", Noting)
    monkeypatch.setattr("pipeline.flow.batch_queue.TOGETHER", 1)
    monkeypatch.setattr(blocks, "BATCHES", 3)
    progress = studio.run(
        manifest,
        resources=Resources(num_actors=1, batch_size=1),
        output=str(tmp_path / "out"),
        kernel=functools.partial(StubKernel, seconds=0.1),
    )
    assert progress.counts == {"ok": 12}
    assert len(result_table.read_results(str(tmp_path / "out"))) == 12
    fetched = Counter((tmp_path / "fetched").read_text().split())
    died = [(tmp_path / f"died-{dies_at}").read_text() for dies_at in DEATHS]
    assert len(fetched) == 12
    assert all(fetched[seed] > died.count(seed) for seed in died)
    last, done = max(DEATHS.items())
    assert fetched.total() <= last + 12 - done
