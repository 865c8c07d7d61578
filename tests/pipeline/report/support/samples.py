"""Results of runs that never were: small pictures, curves with a step where a scale ends, failures of every kind."""

import functools
import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.comparison.compare import Change, Comparison
from pipeline.outputs import table as result_table
from pipeline.report.columns import PageRows, Reader
from pipeline.report.scripts import payload
from tests.support import draw

HOSTILE = "<script>alert(1)</script>"
BEGAN = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
WEIGHTS, SIZES = (0.5, 1.0, 2.0, 4.0), (64, 96)
ERRORS = (
    ("StorageError", "cannot read s3://photos/IMG_7.jpg: it does not exist"),
    ("ImageError", "IMG_8.jpg: the picture is damaged\u2028or cut short </script>"),
    ("DeadlineExceeded", "took longer than 30 s " + "and longer " * 600),
)


def picture(path: Path, seed: int, height: int = 64, width: int = 96) -> Path:
    """A drawn PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_png(seed, height, width))
    return path


@functools.cache
def _png(seed: int, height: int, width: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(draw(seed, height, width)).save(buffer, "PNG")
    return buffer.getvalue()


@functools.cache
def _params(style_weight: float, size: int) -> str:
    asked = {"style_weight": style_weight, "size": size, "scales": (), "iterations": 60}
    return json.dumps(StyleParams.of(asked).to_json(), sort_keys=True)


def curve(evaluations: int, final: float) -> dict[str, Any]:
    """Losses that fall to `final`, with a leap in the middle."""
    x = np.arange(evaluations)
    total = final * (1 + 9 * np.exp(-x / 8) - 9 * np.exp(-(evaluations - 1) / 8))
    total[evaluations // 2] *= 3
    return {
        "iteration": list(range(evaluations)),
        "total": total.tolist(),
        "content": (2 * total).tolist(),
        "style": (total / 2).tolist(),
        "style_layers": [("conv1_1", (total / 3).tolist()), ("conv2_1", (total / 4).tolist())],
    }


def row(output: Path, k: int, **changes: Any) -> dict[str, Any]:
    """The k-th row of a grid of contents, styles, weights and sizes; every fourth has the same picture."""
    made = {
        "id": f"row-{k:05}",
        "fingerprint": f"f{k % 4}",
        "content": str(output.parent / "content" / f"scene{k % 2}.png"),
        "style": str(output.parent / "style" / f"paint{k // 2 % 2}.png"),
        "params": _params(WEIGHTS[k // 4 % 4], SIZES[k // 16 % 2]),
        "output_name": f"made{k % 4}.png",
        "encoder": "embedded",
        "encoder_sha256": "ab" * 32,
        "versions": json.dumps({"nst-pipeline": "0.1.0", "torch": "2.15.0"}),
        "host": "studio",
        "device": "cpu",
        "precision": "bf16",
        "seconds": {"fetch": 0.1, "optimise": 9.0, "write": 0.1},
        "idle_seconds": 1.0,
        "started_at": BEGAN,
        "finished_at": BEGAN + timedelta(minutes=5),
        "manifest": "s3://bucket/pairs.csv",
        "manifest_row": k + 2,
    }
    return made | changes


def ok(output: Path, k: int, **changes: Any) -> dict[str, Any]:
    """A row with a picture; the loss falls with k."""
    loss = 1 / (k + 2)
    found = {"status": "ok", "output": str(output / "images" / f"made{k % 4}.png"), "width": 96, "height": 64}
    found |= {"iterations": 60, "total_loss": loss, "content_loss": 2 * loss, "style_loss": loss / 2}
    return row(output, k) | found | {"curve": curve(60, loss)} | changes


def bad(output: Path, k: int, *, status: str = "failed", **changes: Any) -> dict[str, Any]:
    """A row without a picture."""
    name, error = ERRORS[k % len(ERRORS)]
    return row(output, k) | {"status": status, "error_class": name, "error": error} | changes


def make(folder: Path, *, good: int = 24, failed: int = 4, diverged: int = 1) -> Path:
    """A run of so many rows below a folder; the first is called by a hostile name. The output's path."""
    output = folder / "output"
    for k in range(2):
        picture(folder / "content" / f"scene{k}.png", k)
        picture(folder / "style" / f"paint{k}.png", 10 + k, 80, 80)
    for k in range(4):
        picture(output / "images" / f"made{k}.png", 20 + k)
    rows = [ok(output, k) for k in range(good)]
    if rows:
        rows[0]["id"] = HOSTILE
    rows += [ok(output, good + k, status="diverged") for k in range(diverged)]
    rows += [bad(output, good + diverged + k) for k in range(failed)]
    if failed:
        rows[-1]["status"] = "quarantined"
    for start in range(0, len(rows), 1000):
        result_table.commit(str(output), rows[start : start + 1000])
    said = {"version": 1, "counts": {"ok": good, "failed": failed, "diverged": diverged}, "seconds": 290.0, "job": {}}
    storage.write_bytes(str(output / "run.json"), json.dumps(said).encode())
    return output


def comparison(output: Path, older: Path) -> Comparison:
    """Two runs, of which the second is worse in one row; the other is equal."""
    changes = []
    for k, worse in ((1, ["final loss 0.40 instead of 0.33 (+20 %)", "SSIM 0.71 <0.9>"]), (2, [])):
        before, after = ok(older, k), ok(output, k)
        for side in (before, after):
            del side["curve"]
        if worse:
            after["total_loss"] *= 1.2
        ratio = after["total_loss"] / before["total_loss"]
        key = {"content": after["content"], "style": after["style"], "style_weight": 0.5}
        psnr, ssim = (21.5, 0.71) if worse else (float("inf"), 1.0)
        changes.append(Change(key, before, after, ratio, 1.1, psnr, ssim, worse))
    changes.append(Change({"content": None}, bad(older, 3), ok(output, 3), None, None, None, None, ()))
    settings = {"tv_weight": (0.5, HOSTILE), "iterations": ((60,), None)}
    return Comparison(str(older), str(output), settings, changes, [{"id": "gone", "status": "ok"}], [])


def rows_of(table: pa.Table, output: str = "/o") -> PageRows:
    """Rows of a page, from a table of results."""
    reader = Reader(output, f"{output}/report")
    return reader.joined({"part": reader.reduced("part", table)})


def data(page: str, kind: str) -> list[Any]:
    """What the scripts of one kind hand to a page, in order."""
    folder = Path(page).parent / "data"
    found = sorted(folder.glob(f"{kind}-*.js"), key=lambda path: int(path.name.split("-")[1].split(".")[0]))
    return [payload(path.read_bytes()) for path in found]


def column(page: str, name: str) -> Iterator[Any]:
    """One column of the page's rows."""
    for part in data(page, "rows"):
        yield from part[name]


def index(page: str) -> Mapping[str, Any]:
    """What the page knows of all rows together."""
    [found] = data(page, "index")
    assert isinstance(found, dict)
    return found
