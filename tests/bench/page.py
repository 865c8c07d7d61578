"""The page of many rows: memory and CPU time of the process that makes it, in a process of its own.

`python -m tests.bench.page FOLDER` makes the page of the results there and prints what it took, as JSON.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nst_kernel import StyleParams
from pipeline.outputs import layout, schema
from pipeline.outputs.compact import FILE_BYTES
from pipeline.outputs.table import BATCH
from pipeline.report import write_report
from tests.bench.million import EVALUATIONS, curves
from tests.bench.processes import memory

STYLES, PER_FOLDER, FAILED = 40, 10_000, 100
"""Styles; photos of a folder; and of so many rows one has failed."""


def prepare(output: Path, rows: int) -> None:
    """Results as a run leaves them, in full files, with curves; each row has its own seed."""
    params = StyleParams.of({}).to_json()
    per_file = FILE_BYTES // (EVALUATIONS * 32)
    for number, start in enumerate(range(0, rows, per_file)):
        some = range(start, min(rows, start + per_file))
        table = pa.Table.from_pylist(list(_rows(output, some, params)), schema=schema.SCHEMA)
        place = schema.SCHEMA.get_field_index("curve")
        table = table.set_column(place, schema.SCHEMA.field(place), curves(len(table)))
        part = Path(layout.results_folder(str(output))) / f"{layout.FULL}{number:04d}.parquet"
        part.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, part, compression="zstd", row_group_size=BATCH)


def _rows(output: Path, numbers: range, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    drawn, now = np.random.default_rng(numbers.start), datetime(2026, 3, 1, tzinfo=UTC)
    for number, id in zip(numbers, drawn.integers(0, 2**63, len(numbers)).tolist(), strict=True):
        good = number % FAILED
        yield {
            "id": f"{id:016x}",
            "fingerprint": f"{id:064x}",
            "content": str(output.parent / "photos" / f"{number // PER_FOLDER:04d}" / f"{number:07d}.jpg"),
            "style": str(output.parent / "styles" / f"{number % STYLES}.png"),
            "params": json.dumps({**params, "seed": number}, sort_keys=True),
            "status": "ok" if good else "failed",
            "error": None if good else f"cannot read s3://photos/IMG_{number}.jpg: it does not exist",
            "error_class": None if good else "StorageError",
            "output": f"{layout.images_folder(str(output))}/{id:016x}.png" if good else None,
            "output_name": f"{id:016x}.png",
            "width": 512,
            "height": 384,
            "iterations": EVALUATIONS,
            "total_loss": id / 2**63,
            "content_loss": id / 2**64,
            "style_loss": id / 2**62,
            "seconds": {"fetch": 0.1, "optimise": 2.0, "write": 0.1},
            "idle_seconds": 0.1,
            "device": "stub",
            "host": f"node-{number % 200}",
            "encoder": "embedded",
            "encoder_sha256": "ab" * 32,
            "versions": '{"nst-pipeline": "0.1.0"}',
            "run": 1,
            "started_at": now,
            "finished_at": now + timedelta(seconds=number),
            "manifest": "s3://bucket/pairs.parquet",
            "manifest_row": number,
        }


def measured(output: Path) -> dict[str, Any]:
    """What the page of an output takes, in a process of its own."""
    words = [sys.executable, "-m", "tests.bench.page", str(output)]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(said)
    return found


def main() -> None:
    """Make the page, without small copies of pictures, and print what it took."""
    began = time.perf_counter()
    page = Path(write_report(sys.argv[1], thumbnail_seconds=0)).parent
    found = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time(),
        # Of this program alone: what the system counts for a process has the peak of its parent in it.
        "peak_bytes": memory()["peak"],
        "page_bytes": sum(path.stat().st_size for path in page.rglob("*.*")),
        "files": sum(1 for _ in page.rglob("*.*")),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
