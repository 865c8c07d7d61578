"""Every kind of bad picture, and places that a run may not open, in one manifest with good rows, on Ray.

Each bad row fails alone and says why, in bounded memory; what a run may open holds in its workers too.
"""

import os
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from pipeline.options.access import Access
from pipeline.outputs.progress import Progress
from tests.bench.stub import StubKernel
from tests.e2e.conftest import as_jsonl, furnish
from tests.faults.support.processes import peak_memory, workers
from tests.pipeline.storage.support.web import Server
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

NAMED = ("named", "led away", "not named", "a pipe", "a device", "a chain", "a pipe as style")
"""Ids of rows of which the run may open the first alone."""

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
        other: the URL of a server that it was not allowed to open.
        seen: what that server was asked for.
    """

    progress: Progress
    rows: dict[str, dict[str, Any]]
    peak: int
    other: str
    seen: list[str]


def at_places(named: str, other: str) -> list[dict[str, object]]:
    """The rows of `NAMED`: `named` is the URL of a server that the run may open, `other` of one that it may not."""
    contents = (
        f"{named}/file?.png",
        f"{named}/redirect?{other}/file",
        f"{other}/file?.png",
        "pipe.png",
        "/dev/zero",
        f"reference://k.png::{other}/evil.json",
        "photo.png",
    )
    return [
        {"id": id, "content": content, "style": "pipe.png" if id.endswith("style") else "painting.png"}
        | ({} if content == "photo.png" else {"width": 64, "height": 48})
        for id, content in zip(NAMED, contents, strict=True)
    ]


@pytest.fixture(scope="module")
def bad_run(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> BadRun:
    studio = furnish(tmp_path_factory.mktemp("bad"))
    for name, data in BAD.items():
        studio.write(name, data)
    for mode, name in ODD.items():
        grey = Image.fromarray(draw(1, 48, 64)).convert("L")
        grey.convert(mode).save(studio.folder / name)
    (studio.folder / "gallery").mkdir()
    os.mkfifo(studio.folder / "pipe.png")
    rows: list[dict[str, object]] = [{"id": name, "content": name, "style": "painting.png"} for name in [*BAD, *GOOD]]
    rows = rows[:10] + rows[-1:] + rows[10:-1] + UNREADABLE
    photo = (studio.folder / "photo.png").read_bytes()
    with closing(Server(photo)) as named, closing(Server(photo)) as other:
        manifest = studio.write("rows.jsonl", as_jsonl(rows + at_places(named.url, other.url)))
        access = Access(allow_read=("default", named.url), max_file_bytes=10**9)
        # What a good picture becomes is not the point.
        progress = studio.run(manifest, access=access, defaults=QUICK, kernel=StubKernel)
    return BadRun(progress, studio.results(), max(map(peak_memory, workers())), other.url, other.seen)


def test_bad_pictures_fail_alone(bad_run: BadRun) -> None:
    assert bad_run.progress.finished == len(BAD) + len(GOOD) + len(UNREADABLE) + len(NAMED)
    assert bad_run.progress.counts["failed"] == len(BAD) + len(UNREADABLE) + len(NAMED) - 1 >= 40
    found = {name: row for name, row in bad_run.rows.items() if name in [*BAD, *GOOD]}
    assert {name for name, row in found.items() if row["status"] == "failed"} == set(BAD)
    assert {row["status"] for name, row in found.items() if name not in BAD} == {"ok"}
    for name in BAD:
        assert f"/{name}: " in found[name]["error"], "its own picture is named"
    assert 0 < bad_run.peak < WORKER_BYTES


def test_one_bad_row_of_each_kind_fails_alone(bad_run: BadRun) -> None:
    failed = len(BAD) + len(UNREADABLE) + len(NAMED) - 1
    assert dict(bad_run.progress.counts) == {"ok": len(GOOD) + 1, "failed": failed}
    assert bad_run.rows["photo.png"]["status"] == "ok"
    culprits = {name: name for name in BAD}
    culprits |= {str(row["id"]): str(row["style" if "style" in str(row["id"]) else "content"]) for row in UNREADABLE}
    for name, culprit in culprits.items():
        row = bad_run.rows[name]
        assert row["status"] == "failed"
        assert row["output"] is None
        assert row["error_class"]
        assert culprit in row["error"], row["error"]


def test_workers_open_what_the_run_allows(bad_run: BadRun) -> None:
    """A refused row says how to allow it."""
    rows = {name: bad_run.rows[name] for name in NAMED}
    assert {name for name, row in rows.items() if row["status"] == "ok"} == {"named"}
    errors = {name: row["error"] for name, row in rows.items() if row["error"]}
    for name in ("led away", "not named"):
        assert "loopback, private or link-local address" in errors[name]
        assert f"--allow-read {bad_run.other}" in errors[name]
    assert "it is a pipe, expected a regular file" in errors["a pipe"]
    assert "it is a pipe, expected a regular file" in errors["a pipe as style"]
    assert "it is a device, expected a regular file" in errors["a device"]
    assert "chains of file systems (::) are never opened" in errors["a chain"]
    assert {row["error_class"] for row in rows.values()} == {None, "StorageError"}
    assert bad_run.seen == []
