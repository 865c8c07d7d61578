"""Every kind of bad picture in one manifest with good rows: each bad one fails and says why, in bounded memory."""

from pathlib import Path

from PIL import Image

from tests.e2e.conftest import as_jsonl, furnish
from tests.faults.support.processes import peak_memory, workers
from tests.pipeline.support.bad_pictures import BAD_PICTURES, good
from tests.support import draw

CUT = {f"{kind}_{n}_tenths": good(kind)[: len(good(kind)) * n // 10] for kind in ("PNG", "JPEG") for n in range(10)}

ODD = {
    "L": "grey.png",
    "P": "palette.gif",
    "1": "bits.png",
    "I;16": "deep.png",
    "CMYK": "ink.jpg",
    "RGBA": "glass.webp",
}
"""By Pillow's name of a mode, pictures that are fine."""

QUICK = {"size": 32, "iterations": 1, "scales": ""}

WORKER_BYTES = 3e9
"""torch alone takes a third of it; the pictures that claim to be huge would take three times as much, each."""


def test_bad_pictures_fail_alone(tmp_path: Path, local_ray: None) -> None:
    studio = furnish(tmp_path)
    bad = BAD_PICTURES | CUT
    for name, data in bad.items():
        studio.write(name, data)
    for mode, name in ODD.items():
        grey = Image.fromarray(draw(1, 48, 64)).convert("L")
        grey.convert(mode).save(studio.folder / name)
    names = [*bad, *ODD.values(), "photo.png", "tall.jpg"]
    manifest = as_jsonl([{"id": name, "content": name, "style": "painting.png"} for name in names])
    progress = studio.run(studio.write("rows.jsonl", manifest), defaults=QUICK)
    assert progress.finished == len(names)
    assert progress.counts["failed"] == len(bad) >= 40
    found = studio.results()
    assert {name for name, row in found.items() if row["status"] == "failed"} == set(bad)
    assert {row["status"] for name, row in found.items() if name not in bad} == {"ok"}
    for name in bad:
        assert f"/{name}: " in found[name]["error"], "its own picture is named"
    assert 0 < max(map(peak_memory, workers())) < WORKER_BYTES
