"""What everything around the kernel costs, how a driver's memory behaves, and how actors scale: with a stub kernel.

`python -m tests.bench.throughput FOLDER ROWS` does the whole run of many rows and prints what it took, as JSON.
"""

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.compute as pc
from PIL import Image

from jobs.pictures import CONTENTS, STYLES, draw
from jobs.runner import REPORT_SECONDS
from pipeline.cluster.actor_pool import ActorPool, pool_on_cluster
from pipeline.cluster.connection import connect
from pipeline.encoder import outline_of
from pipeline.flow.batch_queue import Work
from pipeline.flow.dataset import flow
from pipeline.flow.run import run
from pipeline.manifest.reader import read_manifest
from pipeline.manifest.row import Row
from pipeline.options.resources import Resources
from pipeline.options.run_options import RunOptions
from pipeline.outputs.table import read_results
from pipeline.planning.limits import Limits
from pipeline.planning.plan import plan
from pipeline.recovery.ledger import Ledger
from pipeline.recovery.run_lock import RunLock
from pipeline.report import write_report_beside
from pipeline.stages.write import Writer
from tests.bench.processes import cpu_by_kind, family, memory
from tests.bench.stub import StubKernel

PHOTOS = 200


def prepare(home: Path, rows: int, size: int) -> str:
    """A manifest of drawn JPEG files, some hundred photographs and all styles, each row with its own seed; its path."""
    home.mkdir()
    for kind, names, count in (("photo", CONTENTS, PHOTOS), ("style", STYLES, len(STYLES))):
        for number in range(min(rows, count)):
            picture = draw(list(names)[number % len(names)], size, number)
            Image.fromarray(picture).save(home / f"{kind}{number}.jpg", quality=90)
    with (home / "rows.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["content", "style", "seed"])
        for number in range(rows):
            lines.writerow([f"photo{number % PHOTOS}.jpg", f"style{number % len(STYLES)}.jpg", number])
    return str(home / "rows.csv")


def overhead(home: Path, *, rows: int, rows_per_batch: int, batches_per_block: int, size: int = 256) -> dict[str, Any]:
    """CPU seconds for each row from its batch's planning on, JPEG in and PNG out, once a quarter of them went by.

    How many batches share a block is given; in a run it follows from the number of actors and the length of batches.
    """
    asked = read_manifest(prepare(home, rows, size), encoder_sha256="stub", defaults={"size": size}).rows
    pool = _pool(2)
    with mock.patch("pipeline.flow.blocks.share_of_block", return_value=1 / batches_per_block):
        outcomes = _outcomes(asked, home, pool, Limits(rows=rows_per_batch))
        for _ in range(warm := rows // 4):
            next(outcomes)
        before = family()
        counted = sum(1 for _ in outcomes)
    spent = cpu_by_kind(before, family())
    return {
        "rows": counted,
        "warm_up_rows": warm,
        "rows_per_batch": rows_per_batch,
        "batches_per_block": batches_per_block,
        "ms_per_row": {kind: 1000 * seconds / counted for kind, seconds in spent.items()},
        "ms_per_row_in_all": 1000 * sum(spent.values()) / counted,
    }


def measured(home: Path, rows: int) -> dict[str, Any]:
    """`long_run` in a process of its own, which loads what a driver does."""
    words = [sys.executable, "-m", "tests.bench.throughput", str(home), str(rows)]
    said = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def long_run(home: Path, *, rows: int, size: int = 64) -> dict[str, Any]:
    """Memory of the driver on the way through a whole run of many small rows and its page, and how fast they go."""
    manifest = prepare(home, rows, size)
    marks = {max(1, rows * percent // 100): percent for percent in (10, 50, 100)}
    seen: dict[int, dict[str, int]] = {}
    began = 0.0

    def look(progress: Any) -> None:
        nonlocal began
        began = began or (time.perf_counter() if progress.finished else 0.0)
        if progress.finished in marks:
            seen[marks[progress.finished]] = memory()

    progress = run(
        manifest, RunOptions(output=str(home / "out")), defaults={"size": size}, on_progress=look, kernel=StubKernel
    )
    spent = progress.seconds
    write_report_beside(str(home / "out"), rows=rows, hourly_price=None, thumbnail_seconds=REPORT_SECONDS)
    found = {"rows": rows, "seconds": spent, "rows_per_second": rows / spent, "peak_bytes": memory()["peak"]}
    assert progress.counts == {"ok": rows}
    assert len(read_results(str(home / "out"), columns=["id"])) == rows
    return found | {"driver_bytes_at_percent": seen}


def scaling(home: Path, *, counts: tuple[int, ...] = (1, 2, 4, 8), waves: int = 20, seconds: float = 1.0) -> Any:
    """Share of its time, from its first batch to its last, that an actor works of which each batch takes a second."""
    found = []
    asked = read_manifest(prepare(home, waves * max(counts), 64), encoder_sha256="stub", defaults={"size": 64}).rows
    for count in counts:
        kernel, folder = partial(StubKernel, seconds=seconds), home / f"{count} actors"
        batches = sum(1 for _ in _outcomes(asked[: waves * count], folder, _pool(count), Limits(rows=1), kernel=kernel))
        table = read_results(str(folder / "out"), columns=["seconds", "idle_seconds"])
        worked = pc.sum(pc.struct_field(table["seconds"], "optimise")).as_py()
        waited = pc.sum(table["idle_seconds"]).as_py()
        found.append({"actors": count, "batches": batches, "efficiency": worked / (worked + waited)})
    return found


def _pool(count: int) -> ActorPool:
    connect("local")
    return pool_on_cluster(Resources(num_actors=count))


def _outcomes(
    rows: Sequence[Row], home: Path, pool: ActorPool, limits: Limits, *, kernel: Any = StubKernel
) -> Iterator[object]:
    encoder = outline_of("embedded")
    work = plan(rows, encoder_sha256=encoder.sha256, limits=limits)
    writer = Writer(str(home / "out"), encoder=encoder.name, encoder_sha256=encoder.sha256)
    with RunLock(str(home / "out")) as lock:
        yield from flow(
            Work(work.batches), RunOptions(), writer, pool, Ledger(str(home / "out"), lock.owner), kernel=kernel
        )


if __name__ == "__main__":
    print(json.dumps(long_run(Path(sys.argv[1]), rows=int(sys.argv[2]))))
