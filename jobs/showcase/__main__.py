"""`make pictures`: the pictures of the README, made anew from a run of the demo.

The screenshot needs a Chromium on the path and the development dependency playwright; without them it is left out.
"""

import io
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

from jobs.console import out as console

DEMO, FOLDER = Path("demo"), Path("infra/pictures")

COLUMNS = 96
"""Columns of the recorded terminal."""

RECORDED = (
    "nst validate demo/pairs.csv --set size=256 --set iterations=80",
    "nst run demo/pairs.csv --output demo/output --set size=256 --set iterations=80",
    "nst results demo/output --sort -total_loss",
)
"""Commands of the recording; the demo has done the work of the second, so that it says so at once."""

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")

WIDTH, HEIGHT = 1280, 860


def main() -> None:
    """Run the demo if it is not there, then make each picture, and say where it is."""
    if not (DEMO / "output" / "contact_sheet.png").exists():
        subprocess.run([sys.executable, "-m", "jobs.demo"], check=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    sheet = Image.open(DEMO / "output" / "contact_sheet.png").convert("RGB")
    sheet.save(FOLDER / "demo.jpg", quality=88, optimize=True)
    (FOLDER / "terminal.svg").write_text(recording(RECORDED), encoding="utf-8")
    made = ["demo.jpg", "terminal.svg"]
    if screenshot(DEMO / "output" / "report" / "index.html", FOLDER / "report.jpg"):
        made.append("report.jpg")
    else:
        console.print("No Chromium on the path: the report's screenshot stays as it is.", highlight=False)
    for name in made:
        console.print(str(FOLDER / name), highlight=False, soft_wrap=True)


def recording(commands: Sequence[str]) -> str:
    """Return an SVG of a terminal in which commands were typed, with what each wrote."""
    terminal = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True)
    for command in commands:
        terminal.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        words = [sys.executable, "-m", "jobs.cli", *shlex.split(command)[1:]]
        environment = {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
        done = subprocess.run(words, capture_output=True, text=True, env={**_inherited(), **environment}, check=False)
        terminal.print(Text.from_ansi((done.stdout + done.stderr).rstrip().replace("\r", "")))
        terminal.print()
    return terminal.export_svg(title="nst")


def _inherited() -> dict[str, str]:
    """Return the variables that a command of ours needs from this process."""
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}


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
