"""`nst compare`: what it says, what it returns, and whom it hands its findings to."""

import json
import math
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest

from pipeline.comparison.compare import Comparison
from tests.jobs.test_cli import nst
from tests.pipeline.comparison.test_compare import outcome, stored


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def slower(number: int, **changed: Any) -> Mapping[str, Any]:
    return outcome(number, seconds={"fetch": 0.1, "optimise": 16.0, "write": 0.1}, **changed)


def test_the_same_run_again_is_no_worse(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = stored([outcome(1), outcome(2)]), stored([outcome(1), outcome(2), outcome(3)])
    assert nst("compare", before, after) == 0
    shown = capsys.readouterr().out
    assert "Nothing got worse, 2 rows compared, 2 pictures are the same to the pixel, 1 row only after." in shown


def test_what_got_worse_is_shown_and_ends_in_a_1(capsys: pytest.CaptureFixture[str]) -> None:
    changed: dict[str, Any] = {"defaults": {"iterations": 20}}
    after = stored([slower(1, **changed), outcome(2, total_loss=0.6, **changed), outcome(3, **changed)], {2: 1})
    before = stored([outcome(1), outcome(2), outcome(3)])
    assert nst("compare", before, after) == 1
    shown = capsys.readouterr().out
    assert "iterations" in shown
    for said in ("took 16 s, was 10 s (+60 %)", "loss 0.6, was 0.52 (+15.4 %)", "the picture differs: SSIM"):
        assert said in shown
    assert "3 of 3 rows got worse" in shown
    assert nst("compare", before, after, "--loss", "20%", "--time", "100%", "--ssim", "-1") == 0
    assert nst("compare", before, after, "--loss", "20%", "--time", "100%", "--ssim", "-1", "--psnr", "60") == 1
    capsys.readouterr()
    assert nst("compare", before, after, "--limit", "1") == 1
    assert "and 2 more" in capsys.readouterr().out


def test_another_picture_of_a_lower_loss_is_a_change(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = stored([outcome(1), outcome(2)]), stored([outcome(1, total_loss=0.3), outcome(2)], {0: 1})
    assert nst("compare", before, after) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "what changed, and is not worse" in shown
    assert "its loss is lower (-41.2 %)" in shown
    assert "Nothing got worse, 1 changed: another picture, of a lower loss, 2 rows compared" in shown
    same = stored([outcome(1, total_loss=0.51 * 0.995), outcome(2)], {0: 1})
    assert nst("compare", before, same) == 1
    assert "1 of 2 rows got worse" in capsys.readouterr().out


def test_programs_get_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert nst("compare", stored([outcome(1), outcome(2)]), stored([outcome(1), slower(2)]), "--json") == 1
    said = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert said["summary"] == {"rows": 2, "worse": 1, "changed": 0, "equal_pictures": 2}
    first, second = said["changes"]
    assert (first["key"]["content"], first["seconds_ratio"]) == ("s3://photos/2.jpg", 1.6)
    assert (second["worse"], second["same_picture"], second["psnr"], second["ssim"]) == ([], True, None, 1.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["memory://nowhere", "memory://nowhere"], "no results in memory://nowhere"),
        (["--loss", "5"], "--loss 5: expected a percentage, such as 5%"),
        (["--time", "-1%"], "--time -1%: expected a percentage"),
    ],
)
def test_bad_input_is_a_2(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    runs = [] if words[0].startswith("memory") else [stored([outcome(1)])] * 2
    assert nst("compare", *runs, *words) == 2
    assert said in capsys.readouterr().err


def test_the_report_gets_what_was_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[str, str, Comparison]] = []

    def write_report(output: str, *, to: str, comparison: Comparison) -> str:
        asked.append((output, to, comparison))
        return f"{to}/index.html"

    module = ModuleType("pipeline.report")
    monkeypatch.setattr(module, "write_report", write_report, raising=False)
    monkeypatch.setitem(sys.modules, "pipeline.report", module)
    before, after = stored([outcome(1)]), stored([slower(1)])
    assert nst("compare", before, after, "--report", "page") == 1
    ((output, folder, comparison),) = asked
    assert (output, folder) == (after, "page")
    assert comparison.changes[0].psnr == math.inf
    assert "page/index.html" in capsys.readouterr().err


def test_names_are_text_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    odd: dict[str, Any] = {"content": "s3://photos/[bold]x.jpg"}
    assert nst("compare", stored([outcome(1, **odd)]), stored([slower(1, **odd)])) == 1
    assert "[bold]x.jpg" in capsys.readouterr().out
