"""`make demo`: six pairs through the whole pipeline on this machine, with nothing to download.

Styles are drawn by the project; contents are drawn, or photographs that an installed package ships.
"""

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.console import LiveProgress, print_results, print_summary
from jobs.console import out as console
from jobs.demo.contact_sheet import contact_sheet
from jobs.pictures import draw, photographs
from pipeline import storage
from pipeline.flow import run
from pipeline.options import RunOptions
from pipeline.outputs import query
from pipeline.process import native_stderr_hidden
from pipeline.recovery import ledger
from pipeline.report import write_report

FOLDER = Path("demo")
PAIRS = (
    ("chelsea", "night"),
    ("china", "harvest"),
    ("coffee", "mosaic"),
    ("flower", "glass"),
    ("astronaut", "cubist"),
    ("lake", "woodcut"),
)
DRAWN_CONTENTS = ("lake",)
SETTINGS = {"size": 256, "iterations": 80}


def prepare(folder: Path) -> Path:
    """Write the pictures and a manifest of `PAIRS` into a folder; return the manifest's path."""
    photos = photographs()
    for name, _ in PAIRS:
        picture = draw(name, 512) if name in DRAWN_CONTENTS else photos[name]
        _save(folder / "content" / f"{name}.png", picture)
    for _, name in PAIRS:
        _save(folder / "style" / f"{name}.png", draw(name, 512))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "content", "style"])
    writer.writerows([f"{c}-{s}", f"content/{c}.png", f"style/{s}.png"] for c, s in PAIRS)
    manifest = folder / "pairs.csv"
    manifest.write_text(text.getvalue(), encoding="utf-8")
    return manifest


def _save(path: Path, picture: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def main(folder: Path = FOLDER) -> None:
    """Prepare and run the demo, and print where to look."""
    console.print("Drawing the pictures; then six transfers, which take some minutes on a CPU …")
    manifest = prepare(folder)
    output = str((folder / "output").absolute())
    with native_stderr_hidden(), LiveProgress(console, at_work=lambda: ledger.rows_at_work(output)) as live:
        progress = run(str(manifest), RunOptions(output=output), defaults=SETTINGS, on_progress=live.update)
    print_summary(console, progress, output)
    print_results(console, query.select(output, columns="id,status,width,height,iterations,total_loss"))
    if progress.counts["ok"] < progress.total:
        raise SystemExit("Some rows failed: see above.")
    sheet = storage.join(output, "contact_sheet.png")
    storage.write_bytes(sheet, contact_sheet(output))
    for look in (sheet, write_report(output)):
        console.print(f"Look at:  {look}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
