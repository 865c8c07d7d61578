"""Every kind of bad picture in one manifest with good rows: each bad one fails and says why, in bounded memory."""

from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from pipeline.outputs.progress import Progress
from tests.bench.stub import StubKernel
from tests.e2e.conftest import as_jsonl, furnish
from tests.faults.support.processes import peak_memory, workers
from tests.pipeline.support.bad_pictures import BAD_PICTURES, good
from tests.support import draw

CUT = {f"{kind}_{n}_tenths": good(kind)[: len(good(kind)) * n // 10] for kind in ("PNG", "JPEG") for n in range(10)}

BAD = BAD_PICTURES | CUT

ODD = {
    "L": "grey.png",
    "P": "palette.gif",
    "1": "bits.png",
    "I;16": "deep.png",
    "CMYK": "ink.jpg",
    "RGBA": "glass.webp",
}
"""By Pillow's name of a mode, pictures that are fine."""

GOOD = [*ODD.values(), "photo.png", "tall.jpg"]

UNREADABLE: list[dict[str, object]] = [
    {"id": "missing content", "content": "nowhere.png", "style": "painting.png"},
    {"id": "missing style", "content": "photo.png", "style": "nowhere.png"},
    {"id": "a folder as style", "content": "photo.png", "style": "gallery"},
    {"id": "no such bucket scheme", "content": "gopher://x/y.png", "style": "painting.png"},
]

QUICK = {"size": 32, "iterations": 1, "scales": ""}

WORKER_BYTES = 3e9
"""torch alone takes a third of it; the pictures that claim to be huge would take three times as much, each."""


@dataclass(frozen=True)
class BadRun:
    """A run of good and bad rows among each other.

    Attributes:
        progress: at its end.
        rows: results by id.
        peak: bytes that any of its workers ever had in memory.
    """

    progress: Progress
    rows: dict[str, dict[str, Any]]
    peak: int


@pytest.fixture(scope="module")
def bad_run(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> BadRun:
    studio = furnish(tmp_path_factory.mktemp("bad"))
    for name, data in BAD.items():
        studio.write(name, data)
    for mode, name in ODD.items():
        grey = Image.fromarray(draw(1, 48, 64)).convert("L")
        grey.convert(mode).save(studio.folder / name)
    (studio.folder / "gallery").mkdir()
    rows: list[dict[str, object]] = [{"id": name, "content": name, "style": "painting.png"} for name in [*BAD, *GOOD]]
    manifest = as_jsonl(rows[:10] + rows[-1:] + rows[10:-1] + UNREADABLE)
    # What a good picture becomes is not the point.
    progress = studio.run(studio.write("rows.jsonl", manifest), defaults=QUICK, kernel=StubKernel)
    return BadRun(progress, studio.results(), max(map(peak_memory, workers())))


def test_bad_pictures_fail_alone(bad_run: BadRun) -> None:
    assert bad_run.progress.finished == len(BAD) + len(GOOD) + len(UNREADABLE)
    assert bad_run.progress.counts["failed"] == len(BAD) + len(UNREADABLE) >= 40
    found = {name: row for name, row in bad_run.rows.items() if name in [*BAD, *GOOD]}
    assert {name for name, row in found.items() if row["status"] == "failed"} == set(BAD)
    assert {row["status"] for name, row in found.items() if name not in BAD} == {"ok"}
    for name in BAD:
        assert f"/{name}: " in found[name]["error"], "its own picture is named"
    assert 0 < bad_run.peak < WORKER_BYTES


def test_one_bad_row_of_each_kind_fails_alone(bad_run: BadRun) -> None:
    assert dict(bad_run.progress.counts) == {"ok": len(GOOD), "failed": len(BAD) + len(UNREADABLE)}
    assert bad_run.rows["photo.png"]["status"] == "ok"
    culprits = {name: name for name in BAD}
    culprits |= {str(row["id"]): str(row["style" if "style" in str(row["id"]) else "content"]) for row in UNREADABLE}
    for name, culprit in culprits.items():
        row = bad_run.rows[name]
        assert row["status"] == "failed"
        assert row["output"] is None
        assert row["error_class"]
        assert culprit in row["error"], row["error"]
