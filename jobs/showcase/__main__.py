"""`make pictures`: the pictures of the README, made anew from a run of drawn scenes and drawn paintings.

The screenshot needs a Chromium on the path and the development dependency playwright; without them it is left out.
"""

import csv
import json
import shutil
import subprocess
from pathlib import Path

from PIL import Image

from jobs.console import out as console
from jobs.pictures import Cell, draw, sheet
from jobs.showcase.terminal import environment, recording, words_of
from pipeline.outputs import read_results

STUDIO, FOLDER = Path("build/showcase"), Path("infra/pictures")

PAIRS = (
    ("boats", "night"),
    ("town", "harvest"),
    ("fruit", "mosaic"),
    ("forest", "glass"),
    ("lake", "watercolour"),
)
"""Contents and styles, all drawn by the project, so that nobody else has rights in the README's pictures."""

STYLE_WEIGHTS = (1.0, 4.0)

RUN = "nst run pairs.csv --output out --set size=256 --set iterations=80"

RECORDED = (
    "nst validate pairs.csv",
    RUN,
    "nst results out --columns content,style,style_weight,total_loss --sort total_loss",
)
"""Commands of the recording; the work of the second has been done before, so that it says so at once."""

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")

WIDTH, HEIGHT = 1280, 860

CELL = 200
"""Side of the pictures of the contact sheet, pixels."""


def main() -> None:
    """Compute what is not there yet of a run, then make each picture, and say where it is."""
    prepare(STUDIO)
    subprocess.run(words_of(RUN), cwd=STUDIO, env=environment(), check=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    contact_sheet(STUDIO).save(FOLDER / "demo.jpg", quality=85, optimize=True)
    (FOLDER / "terminal.svg").write_text(recording(RECORDED, folder=STUDIO), encoding="utf-8")
    made = ["demo.jpg", "terminal.svg"]
    if screenshot(STUDIO / "out" / "report" / "index.html", FOLDER / "report.jpg"):
        made.append("report.jpg")
    else:
        console.print("No Chromium on the path: the report's screenshot stays as it is.", highlight=False)
    for name in made:
        console.print(str(FOLDER / name), highlight=False, soft_wrap=True)


def prepare(folder: Path, size: int = 512) -> None:
    """Write the pictures and a manifest of every pair with every style weight into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (name for pair in PAIRS for name in pair if not (folder / f"{name}.png").exists()):
        Image.fromarray(draw(name, size)).save(folder / f"{name}.png")
    with (folder / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [(f"{content}.png", f"{style}.png", weight) for weight in STYLE_WEIGHTS for content, style in PAIRS]
        csv.writer(file).writerows([("content", "style", "style_weight"), *rows])


def contact_sheet(folder: Path) -> Image.Image:
    """Return a sheet with a column for each pair: content, style, and the result with the first style weight."""
    rows = read_results(str(folder / "out"), columns=["content", "output", "params"]).to_pylist()
    first = [row for row in rows if json.loads(row["params"])["style_weight"] == STYLE_WEIGHTS[0]]
    made = {Path(row["content"]).stem: row["output"] for row in first}
    columns = [(f"{content}.png", f"{style}.png", made[content]) for content, style in PAIRS]
    lines = []
    for label, names in zip(("content", "style", "result"), zip(*columns, strict=True), strict=True):
        small = [_small(folder / name) for name in names]
        lines.append([Cell(picture, "" if number else label) for number, picture in enumerate(small)])
    return sheet(lines, CELL)


def _small(path: Path) -> Image.Image:
    """Return a copy of a picture in the size of a cell."""
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return picture


def screenshot(page: Path, to: Path) -> bool:
    """Take a picture of the gallery of a report; return whether there was a browser to take it."""
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if browser is None:
        return False
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-dev-shm-usage"])
        view = started.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        view.goto(f"file://{page.resolve()}#gallery")
        view.wait_for_selector("html[data-ready]")
        view.wait_for_timeout(1500)  # thumbnails
        view.screenshot(path=str(to), type="jpeg", quality=85)
        started.close()
    return True


if __name__ == "__main__":
    main()
