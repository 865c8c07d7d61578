"""Processes that end in the middle of a run on Ray: in each stage one, all in one run, which loses no other row."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import pytest

from pipeline.flow.metrics import RunMetrics
from pipeline.options import Decoding, Resources
from pipeline.outputs import Progress
from pipeline.planning import Batch, Failure, Fetched, Optimised
from pipeline.stages import Writer, fetch
from tests.bench.stub import StubKernel
from tests.e2e.conftest import Studio, as_csv, furnish
from tests.pipeline.flow.test_metrics import Recorded, record
from tests.support.without_ray import without_ray

PAIR: dict[str, object] = {"content": "photo.png", "style": "painting.png"}
TOGETHER = ("exit-in-fetch", "a", "b", "exit-in-optimise", "c", "d")
"""Ids of rows of one shape, of which three are a batch."""

ROWS: list[dict[str, object]] = [
    *({**PAIR, "id": id, "seed": seed} for seed, id in enumerate(TOGETHER)),
    {**PAIR, "id": "exit-after-write", "content": "tall.jpg"},
    {**PAIR, "id": "bad", "content": "gone.png"},
]
ATTEMPTS = 2
"""After which a row is quarantined. Each crash costs a start of a process."""


@dataclass(frozen=True)
class Crashed:
    """A run of `ROWS`, some of which end the process that works on them.

    Attributes:
        studio: where it ran.
        progress: at its end.
        begun: ids of rows, each time that they began to be optimised.
        seen: what the run was told of each row.
        recorded: its metrics.
        again: progress of a second run.
    """

    studio: Studio
    progress: Progress
    begun: list[str]
    seen: list[Mapping[str, Any]]
    recorded: Recorded
    again: Progress


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Crashed:
    studio = furnish(tmp_path_factory.mktemp("crashed"))
    begun, written = studio.folder / "begun", studio.folder / "written"

    # Local, so that they travel to workers by value.
    def exiting_fetch(batch: Batch, limits: Decoding, run: str) -> Fetched:
        if any(planned.row.id == "exit-in-fetch" for planned in batch.rows):
            os._exit(1)
        return fetch(batch, limits, run=run)

    class ExitingKernel(StubKernel):
        def __call__(self, fetched: Fetched) -> Optimised:
            pairs = zip(fetched.batch.rows, fetched.pictures, strict=True)
            ids = [planned.row.id for planned, pictures in pairs if not isinstance(pictures, Failure)]
            with begun.open("a") as file:
                file.write("".join(f"{row_id}\n" for row_id in ids))
            if "exit-in-optimise" in ids:
                os._exit(1)
            return super().__call__(fetched)

    class ExitingWriter(Writer):
        def __call__(self, optimised: Optimised, places: Sequence[int] | None = None) -> list[dict[str, Any]]:
            rows = super().__call__(optimised, places)
            if rows[0]["id"] == "exit-after-write" and not written.exists():
                written.touch()
                os._exit(1)
            return rows

    seen: list[Mapping[str, Any]] = []
    add = RunMetrics.add

    def note(metrics: RunMetrics, row: Mapping[str, Any]) -> None:
        seen.append(row)
        add(metrics, row)

    manifest = studio.write("rows.csv", as_csv(ROWS))
    kernel = partial(ExitingKernel, seconds=0.05)
    how = {"resources": Resources(num_actors=1, batch_size=3), "max_attempts": ATTEMPTS, "kernel": kernel}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("pipeline.flow.dataset"), "fetch", exiting_fetch)
        patch.setattr(import_module("pipeline.flow.run"), "Writer", ExitingWriter)
        patch.setattr(RunMetrics, "add", note)
        recorded = record(patch)
        progress = studio.run(manifest, **how)
    assert written.exists()
    times = begun.read_text().split()
    with without_ray():
        again = studio.run(manifest, **how)
    return Crashed(studio, progress, times, seen, recorded, again)


def test_a_row_that_ends_its_process_is_quarantined_alone(crashed: Crashed) -> None:
    """One such row in decoding and one in optimising, each in a batch with good ones."""
    assert dict(crashed.progress.counts) == {"ok": 5, "quarantined": 2, "failed": 1}
    results = crashed.studio.results()
    quarantined = {row_id for row_id, row in results.items() if row["status"] == "quarantined"}
    assert quarantined == {"exit-in-fetch", "exit-in-optimise"}
    times = Counter(crashed.begun)
    assert times["exit-in-fetch"] == 0
    assert times["exit-in-optimise"] == ATTEMPTS
    assert sum(times[row_id] for row_id in "cd") <= 2 * ATTEMPTS
    again = crashed.again
    assert (again.total, again.done_before, again.quarantined_before) == (1, 5, 2)


def test_rows_are_counted_once_though_their_writer_dies_after_its_commit(crashed: Crashed) -> None:
    """Metrics are what became of the rows, once each, though a batch is committed again."""
    recorded, results = crashed.recorded, crashed.studio.results()
    assert sorted(row["id"] for row in crashed.seen) == sorted(str(row["id"]) for row in ROWS)
    for status, count in crashed.progress.counts.items():
        assert sum(recorded["nst_rows_total", status]) == count
    assert sum(recorded["nst_batch_size", ""]) == len(ROWS)
    assert sorted(recorded["nst_loss", ""]) == pytest.approx(
        sorted(row["total_loss"] for row in results.values() if row["status"] == "ok")
    )
    # Not from results: what was done again after a death took its own seconds each time, and the last to arrive counts.
    for stage in ("fetch", "optimise", "write"):
        took = [row["seconds"][stage] for row in crashed.seen if row["seconds"][stage]]
        assert sum(recorded["nst_seconds_total", stage]) == pytest.approx(sum(took))
