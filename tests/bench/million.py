"""A manifest of a million rows: validated and planned, and found to be done already; each in a process of its own.

`python -m tests.bench.million plan|finish|resume FOLDER` does one of it and prints what it took, as JSON.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.encoder import outline_of
from pipeline.manifest.validate import validate
from pipeline.outputs import layout, provenance, schema
from pipeline.outputs.compact import FILE_BYTES
from pipeline.outputs.finished import Finished, finished
from pipeline.planning.batch import PlannedRow
from pipeline.planning.history import History
from pipeline.planning.limits import Limits
from pipeline.planning.plan import Plan, plan
from pipeline.recovery import ledger
from tests.bench.processes import memory

PER_FOLDER, STYLES, EVALUATIONS = 10_000, 40, 150
LIMITS = Limits(rows=1, workers=2)
"""Of two actors of a core each, written down: to ask the machine loads torch, which takes more memory than all else."""

ASPECTS = [(w, h) for w in range(2, 20) for h in range(2, 20) if 1 / 3 <= w / h <= 3]


def prepare(home: Path, rows: int) -> None:
    """A manifest with widths, heights and a seed for each row, and its pictures: empty, as nobody opens them."""
    drawn = random.Random(0)
    (home / "styles").mkdir(parents=True)
    for style in range(STYLES):
        (home / "styles" / f"{style}.png").touch()
    with (home / "rows.csv").open("w", encoding="utf-8") as manifest:
        manifest.write("content,style,width,height,seed\n")
        for number in range(rows):
            folder = home / "photos" / f"{number // PER_FOLDER:04d}"
            if number % PER_FOLDER == 0:
                folder.mkdir(parents=True)
            (folder / f"{number:07d}.jpg").touch()
            width, height = drawn.choice(ASPECTS)
            scale = drawn.randint(100, 200)
            cells = (f"photos/{folder.name}/{number:07d}.jpg", f"styles/{number % STYLES}.png")
            manifest.write(",".join(map(str, (*cells, width * scale, height * scale, number))) + "\n")


def measured(what: str, home: Path) -> dict[str, Any]:
    """One of the parts below, in a process of its own."""
    words = [sys.executable, "-m", "tests.bench.million", what, str(home)]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(said)
    return found


def _planned(home: Path, done: Finished) -> tuple[Plan, dict[str, Any]]:
    clocks = [time.process_time()]
    asked = validate(str(home / "rows.csv"))
    clocks.append(time.process_time())
    work = plan(
        asked.rows,
        encoder_sha256=outline_of("embedded").sha256,
        history=History(done.fingerprints, done.owners),
        limits=LIMITS,
    )
    clocks.append(time.process_time())
    return work, {
        "rows": len(asked.rows),
        "to_do": work.rows,
        "done": work.done,
        "batches": len(work.batches),
        "validate_seconds": clocks[1] - clocks[0],
        "plan_seconds": clocks[2] - clocks[1],
    }


def planned(home: Path) -> dict[str, Any]:
    """Validate and plan a manifest of which nothing is done."""
    return _planned(home, Finished({}, {}))[1]


def resumed(home: Path) -> dict[str, Any]:
    """Validate and plan a manifest of which all is done, and find that out."""
    clock = time.process_time()
    output = str(home / "out")
    done = finished(output)
    ledger.collect_crashes(output)
    spent = time.process_time() - clock
    return {"finished_seconds": spent, **_planned(home, done)[1]}


def finish(home: Path) -> dict[str, Any]:
    """Results as a run leaves them, in full files, with curves."""
    work, _ = _planned(home, Finished({}, {}))
    rows = (planned for batch in work.batches for planned in batch.rows)
    output = str(home / "out")
    count = 0
    while some := [row for _, row in zip(range(FILE_BYTES // (EVALUATIONS * 32)), rows, strict=False)]:
        part = Path(layout.results_folder(output)) / f"{layout.FULL}{count:04d}.parquet"
        part.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(_table(some, output), part, compression="zstd")
        count += 1
    return {"files": count, "bytes": sum(path.stat().st_size for path in (home / "out").rglob("*.parquet"))}


def _table(rows: list[PlannedRow], output: str) -> pa.Table:
    table = pa.Table.from_pylist(list(_as_results(rows, output)), schema=schema.SCHEMA)
    place = schema.SCHEMA.get_field_index("curve")
    return table.set_column(place, schema.SCHEMA.field(place), curves(len(rows)))


def curves(count: int) -> pa.Array:
    """As long as real ones and, being random, as hard to compress."""
    drawn = np.random.default_rng(0)

    def lists(many: int, values: Any) -> pa.Array:
        return pa.ListArray.from_arrays(np.arange(0, many * EVALUATIONS + 1, EVALUATIONS, dtype=np.int32), values)

    def losses(many: int) -> pa.Array:
        return lists(many, drawn.random(many * EVALUATIONS, np.float32))

    layers = pa.array(["conv1_1", "conv2_1", "conv3_1", "conv4_1"] * count)
    by_layer = pa.MapArray.from_arrays(np.arange(0, 4 * count + 1, 4, dtype=np.int32), layers, losses(4 * count))
    iterations = lists(count, np.tile(np.arange(EVALUATIONS, dtype=np.int32), count))
    fields = schema.SCHEMA.field("curve").type
    members = [iterations, losses(count), losses(count), losses(count), by_layer]
    return pa.StructArray.from_arrays(members, fields=[fields.field(n) for n in range(fields.num_fields)])


def _as_results(rows: list[PlannedRow], output: str) -> Iterator[dict[str, Any]]:
    folder, now = layout.images_folder(output), provenance.now()
    for planned in rows:
        row = planned.row
        yield {
            "id": row.id,
            "fingerprint": planned.fingerprint,
            "content": row.content,
            "style": row.style,
            "params": json.dumps(row.params.to_json(), sort_keys=True),
            "status": "ok",
            "output": storage.join(folder, row.output),
            "output_name": row.output,
            "finished_at": now,
        }


def main() -> None:
    """One part, as JSON, with what it took of memory."""
    found = {"plan": planned, "finish": finish, "resume": resumed}[sys.argv[1]](Path(sys.argv[2]))
    print(json.dumps(found | {"peak_bytes": memory()["peak"]}))


if __name__ == "__main__":
    main()
