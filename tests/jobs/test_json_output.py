"""Whatever is listed or planned can be had as JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from jobs import cli
from nst_kernel.encoder import Check
from pipeline.archives import Leftover
from tests.jobs.test_cli import nst, pair
from tests.support import REPOSITORY, draw

assert pair

LISTS_NOTHING = {
    "init", "schema", "report", "submit", "logs", "cancel", "render kubernetes"
}  # fmt: skip
"""Commands whose output is files, a picture, a log, or what becomes of one job."""


def commands(group: Any, before: str = "") -> dict[str, Any]:
    """Every command by its words."""
    found: dict[str, Any] = {}
    for name in group.commands:
        command, words = group.commands[name], f"{before}{name}"
        found |= commands(command, f"{words} ") if hasattr(command, "commands") else {words: command}
    return found


def test_every_command_that_lists_or_plans_has_json() -> None:
    known = commands(typer.main.get_command(cli.app))
    assert known.keys() > LISTS_NOTHING
    lacking = {words for words, each in known.items() if not any("--json" in option.opts for option in each.params)}
    assert lacking == LISTS_NOTHING


def test_a_valid_manifest_as_json(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rows.csv").write_text("content,style\nphoto.png,painting.png\nphoto.png,painting.png\n")
    assert nst("validate", "rows.csv", "--json", "--pictures") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["valid"], found["rows"], found["problems"]) == (True, 1, [])
    assert [repeat["number"] for repeat in found["duplicates"]] == [3]
    assert found["pictures"] == {"read": 2, "faults": []}
    assert found["failing"] == []
    Path("rows.csv").write_text("content,style\ngone.png,painting.png\n")
    assert nst("validate", "rows.csv", "--json", "--pictures") == 1
    [fault] = json.loads(capsys.readouterr().out)["pictures"]["faults"]
    assert (Path(fault["picture"]).name, fault["rows"]) == ("gone.png", 1)


def test_a_bad_manifest_as_json(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rows.csv").write_text("content,style,size\nphoto.png,painting.png,huge\n")
    assert nst("validate", "rows.csv", "--json") == 2
    said = capsys.readouterr()
    found = json.loads(said.out)
    [problem] = found["problems"]
    assert (found["valid"], problem["number"], problem["column"], problem["value"]) == (False, 2, "size", "'huge'")
    assert said.err == ""


BAD = {
    "an unknown field": ("job.yaml", "kind: manifest\nname: n\nmanifest: a.csv\noutput: o\nouptut: p\n", 5, "ouptut"),
    "no YAML": ("job.yaml", "kind: [manifest\n", 2, None),
    "no file": ("none.yaml", "", None, None),
    "a manifest beside it": ("job.yaml rows.csv", "", None, None),
    "a bad parameter": ("rows.csv --set siez=5", "", None, None),
    "other weights": ("rows.csv --weights none.pth", "", None, None),
}
"""Words of a command, a job file, and the line and the field that are wrong in it."""


@pytest.mark.parametrize("command", ["validate", "plan", "run --dry-run"])
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_job_as_json(bad: str, command: str, pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, text, line, field = BAD[bad]
    Path("rows.csv").write_text("content,style\nphoto.png,painting.png\n")
    Path("job.yaml").write_text(text)
    assert nst(*command.split(), *words.split(), "--json") == 2
    said = capsys.readouterr()
    found = json.loads(said.out)
    [problem] = found["problems"]
    assert (found["valid"], problem["number"], problem["column"]) == (False, line, field)
    assert problem["expected"]
    assert said.err == ""


def test_a_job_of_another_kind_as_json(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("grid.yaml").write_text(
        "kind: grid\nname: g\ncontents: photo.png\nstyles: painting.png\noutput: o\nparameters: {seed: [1, 2]}\n"
    )
    assert nst("validate", "grid.yaml", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["pictures"]) == (2, None)


def test_weights_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    embedded = REPOSITORY / "nst_kernel" / "encoder" / "embedded" / "vgg19_kmeans.safetensors"
    assert nst("weights", "check", str(embedded), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"weights": "embedded", "checks": []}
    (tmp_path / "other.pth").write_bytes(b"of some kind")
    monkeypatch.setattr("nst_kernel.check_imagenet", lambda *_, **__: [Check("SHA-256", "dcbb", "0000", ok=False)])
    assert nst("weights", "check", str(tmp_path / "other.pth"), "--json") == 1
    found = json.loads(capsys.readouterr().out)
    check = {"what": "SHA-256", "expected": "dcbb", "actual": "0000", "ok": False}
    assert found == {"weights": None, "checks": [check]}


def test_results_without_photos_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(draw(1, 32, 32)).save(tmp_path / "photos" / "a.png")
    gone = [Leftover("1", "photos/b.png", "b.png")]
    monkeypatch.setattr("pipeline.archives.leftovers", lambda *_: gone)
    monkeypatch.setattr("pipeline.archives.prune", lambda *_: len(gone))
    words = ["archive", str(tmp_path / "photos"), "--style", str(tmp_path / "photos" / "a.png"), "-o", str(tmp_path)]
    for more, deleted in ([], 0), (["--yes"], 1):
        assert nst(*words, "--prune", "--json", *more) == 0
        found = json.loads(capsys.readouterr().out)
        assert found == {"gone": [{"output_name": "b.png", "original": "photos/b.png"}], "deleted": deleted}
