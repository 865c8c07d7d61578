"""The pictures of the README: a recorded terminal as one SVG, a sheet, and where they come from."""

import csv
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image

from jobs.pictures import CONTENTS, STYLES
from jobs.showcase import __main__ as showcase
from jobs.showcase import terminal
from jobs.showcase.terminal import left_on_screen, recording
from nst_kernel import ALGORITHM_VERSION
from pipeline.outputs import table as result_table
from tests.pipeline.comparison.test_compare import outcome
from tests.support import REPOSITORY, draw

ADDRESSES_OF_SVG = ("http://www.w3.org/2000/svg", "https://www.textualize.io")


def test_a_recording_has_the_command_and_what_it_wrote(tmp_path: Path) -> None:
    svg = recording(["nst --version"], folder=tmp_path)
    text = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
    assert "$ nst --version" in text
    assert f"algorithm {ALGORITHM_VERSION}" in text
    assert "\x1b" not in text
    for address in ADDRESSES_OF_SVG:
        svg = svg.replace(address, "")
    assert "://" not in svg


def test_a_recording_shows_what_stays_on_the_screen() -> None:
    frames = ["\x1b[?25l\rstarting 0:00", "\r\x1b[2K\rstarting 0:01\nand a bar", "\r\x1b[2K\x1b[1A\x1b[2K"]
    assert left_on_screen("".join([*frames, "\x1b[1mdone\x1b[0m\n6 rows\x1b[?25h\n"])) == "\x1b[1mdone\x1b[0m\n6 rows"
    assert left_on_screen("one\r\n\ntwo\n") == "one\n\ntwo"


def test_a_recording_has_no_frames_of_a_display_and_no_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "words_of", lambda command: [sys.executable, "-c", command])
    svg = recording([r"print('first\r\x1b[2Ksecond')".replace("'", '"')], folder=tmp_path)
    assert [line for line in re.findall(r">([^<]+)</text>", svg) if "second" in line or "first" in line][1:] == [
        "second"
    ]
    with pytest.raises(subprocess.CalledProcessError):
        recording(["raise SystemExit(2)"])


def test_pictures_of_the_readme_are_drawn_and_shown(tmp_path: Path) -> None:
    """So that nobody else has rights in them, as the README says."""
    assert {content for content, _ in showcase.PAIRS} <= set(CONTENTS)
    assert {style for _, style in showcase.PAIRS} <= set(STYLES)
    assert {picture.name for picture in showcase.FOLDER.iterdir()} >= {"demo.jpg", "report.jpg", "terminal.svg"}
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    assert all(f"]({showcase.FOLDER}/{picture.name})" in readme for picture in (REPOSITORY / showcase.FOLDER).iterdir())


def test_the_sheet_has_a_column_for_each_pair(tmp_path: Path) -> None:
    showcase.prepare(tmp_path, size=32)
    made = []
    with (tmp_path / "pairs.csv").open() as file:
        for number, row in enumerate(csv.DictReader(file)):
            picture = tmp_path / "out" / "images" / f"{number}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw(number, 48, 64)).save(picture)
            params = json.dumps({"style_weight": float(row["style_weight"])})
            made.append(outcome(number, content=str(tmp_path / row["content"]), output=str(picture), params=params))
    result_table.commit(str(tmp_path / "out"), made)
    sheet = showcase.contact_sheet(tmp_path)
    assert len(made) == len(showcase.PAIRS) * len(showcase.STYLE_WEIGHTS)
    assert sheet.width > len(showcase.PAIRS) * showcase.CELL
    assert 3 * showcase.CELL < sheet.height < 4 * showcase.CELL
