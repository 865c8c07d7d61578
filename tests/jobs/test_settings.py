"""Nothing about settings is silent: rows that give a parameter themselves, and other parameters into one output."""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from jobs import cli, completion
from jobs.cli import everywhere, in_front
from nst_kernel import PRESETS
from pipeline.outputs import read_results
from tests.bench.stub import StubKernel
from tests.jobs.console.test_json_lines import clean
from tests.jobs.test_cli import QUICK, built, nst, pair
from tests.jobs.test_json_output import commands
from tests.support.without_ray import flow

__all__ = ["clean", "pair"]


@pytest.fixture
def quick(without_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process that compute nothing."""

    def stubbed(*words: Any, kernel: Any) -> Any:
        del kernel
        return flow(*words, kernel=StubKernel)

    monkeypatch.setattr(import_module("pipeline.flow.run"), "flow", stubbed)


@pytest.fixture
def rows(pair: Path) -> Path:
    """A manifest of two rows, of which one gives its seed itself, as a column and among its params."""
    (pair / "rows.csv").write_text("content,style,seed\nphoto.png,painting.png,7\npainting.png,painting.png,\n")
    nested = {"content": "photo.png", "style": "painting.png", "params": {"seed": 7}}
    (pair / "rows.jsonl").write_text(json.dumps(nested) + "\n" + json.dumps({**nested, "params": {}}) + "\n")
    return pair


@pytest.mark.parametrize("manifest", ["rows.csv", "rows.jsonl"])
@pytest.mark.parametrize("command", [["validate"], ["plan", "--rate", "1e9"]], ids=lambda words: words[0])
def test_set_says_how_many_rows_keep_their_own_value(
    command: list[str], manifest: str, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nst(command[0], manifest, *command[1:], *QUICK, "--set", "seed=5") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "--set seed=5 is for rows that leave seed open: 1 of 2 give it themselves and keep theirs" in shown
    assert nst(command[0], manifest, *command[1:], *QUICK) == 0
    assert "keep theirs" not in capsys.readouterr().out


@pytest.mark.parametrize("manifest", ["rows.csv", "rows.jsonl"])
@pytest.mark.usefixtures("quick")
def test_override_gives_a_value_to_all_rows(manifest: str, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", manifest, "--output", "out", "--no-report", *QUICK, "--set", "seed=5"]
    assert nst(*words) == 0
    assert sorted(read_results("out")["seed"].to_pylist()) == [5, 7]
    assert nst(*words[:3], "other", *words[4:], "--override") == 0
    assert set(read_results("other")["seed"].to_pylist()) == {5}
    assert capsys.readouterr().out.count("keep theirs") == 1


@pytest.mark.usefixtures("quick")
def test_other_parameters_into_one_output_are_said_and_told_apart(
    rows: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wholly_read: list[Sequence[str]] = []  # parameters of a million rows would fill memory

    def noting(output: str, *, columns: Sequence[str], ordered: bool) -> Any:
        wholly_read.append(columns)
        return read_results(output, columns=columns, ordered=ordered)

    monkeypatch.setattr(import_module("pipeline.planning.validated"), "read_results", noting)
    words = ["run", "rows.csv", "--output", "out", "--no-report", *QUICK]
    assert nst(*words) == 0
    assert nst(*words) == 0
    assert "with other parameters" not in capsys.readouterr().out
    assert nst(*words, "--set", "style_weight=3") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "has 2 results of the same pictures with other parameters (style_weight=1.0)" in shown
    assert wholly_read == [["id", "content", "style"]] * 2

    def count(*options: str) -> int:
        assert nst("results", "out", "--json", *options) == 0
        return len(capsys.readouterr().out.splitlines())

    assert count() == 4
    assert count("--where", "style_weight=3") == count("--where", "beta=1") == 2
    assert count("--where", "style_weight=3", "--where", "seed=7") == 1


def test_what_a_grid_gives_itself_is_said(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = "kind: grid\nname: g\ncontents: photo.png\nstyles: painting.png\noutput: o\nparameters: {seed: [1, 2]}\n"
    Path("grid.yaml").write_text(grid)
    for command in (["grid", "plan"], ["plan"]):
        words = [*command, "grid.yaml", "--rate", "1e9", *QUICK, "--set", "seed=5", "--json"]
        assert nst(*words) == 0
        shown = capsys.readouterr()
        assert "--set seed=5 is ignored: the grid gives seed itself" in shown.err
        assert json.loads(shown.out)["rows"] == 2
        assert nst(*words, "--override") == 0
        shown = capsys.readouterr()
        assert not shown.err
        assert json.loads(shown.out)["rows"] == 1


@pytest.mark.usefixtures("quick")
def test_override_outranks_a_preset_that_a_row_names(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = "photo.png,painting.png,gatys2016"
    Path("rows.csv").write_text(f"content,style,preset,seed\n{row},1\n{row},2\n{row},2\n")
    words = ["run", "rows.csv", "--output", "out", "--no-report", *QUICK, "--set", "beta=5"]
    assert nst(*words) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "--set style_weight=5 is for rows that leave style_weight open: 3 of 3 give it themselves" in shown
    assert nst(*words[:3], "other", *words[4:], "--override") == 0
    weights = {json.loads(params)["style_weight"] for params in read_results("other")["params"].to_pylist()}
    assert weights == {5.0}


def test_a_grid_is_overruled_by_any_name_and_by_set_alone(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = "kind: grid\nname: g\ncontents: photo.png\nstyles: painting.png\noutput: o\n"
    Path("grid.yaml").write_text(grid + "parameters: {style_weight: [1, 2], seed: [1, 2]}\n")
    Path("defaults.json").write_text('{"seed": 9}')
    words = ["plan", "grid.yaml", "--rate", "1e9", *QUICK, "--set", "beta=5", "--defaults", "defaults.json", "--json"]
    assert nst(*words) == 0
    shown = capsys.readouterr()
    assert "--set style_weight=5 is ignored: the grid gives style_weight itself" in shown.err
    assert json.loads(shown.out)["rows"] == 4
    assert nst(*words, "--override") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 2  # the seeds are the grid's: only --set overrules


def test_names_and_values_of_parameters_are_completed() -> None:
    assert completion.settings("siz") == ["size="]
    assert completion.settings("pooling=") == ["pooling=avg", "pooling=max"]
    assert completion.settings("preset=") == [f"preset={name}" for name in PRESETS]
    assert completion.settings("beta=") == []
    assert completion.parameters("gatys20") == [name for name in PRESETS if name.startswith("gatys20")]
    assert completion.parameters("content_w") == ["content_weight"]
    assert completion.statuses("q") == ["quarantined"]
    assert completion.columns("id,-total_l") == ["id,-total_loss"]
    assert completion.columns("style_w") == ["style_weight"]


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        (["run", "a.csv", "--debug"], ["--debug", "run", "a.csv"]),
        (["--quiet", "run", "--verbose", "--", "--debug"], ["--quiet", "--verbose", "run", "--", "--debug"]),
        (["run", "a.csv"], ["run", "a.csv"]),
        (["run", "a.csv", "--log-format", "json"], ["--log-format", "json", "run", "a.csv"]),
        (
            ["run", "--log-format", "json", "a.csv", "--no-quiet"],
            ["--log-format", "json", "--no-quiet", "run", "a.csv"],
        ),
        (["--log-format", "json", "run", "--log-format=text"], ["--log-format", "json", "--log-format=text", "run"]),
        (["grid", "runs", "out", "--version"], ["--version", "grid", "runs", "out"]),
        (["run", "--", "--log-format"], ["run", "--", "--log-format"]),
    ],
)
def test_some_options_may_stand_anywhere(words: list[str], ordered: list[str]) -> None:
    assert in_front(words) == ordered


def test_every_option_of_nst_may_stand_anywhere_and_no_command_has_another_of_its_name() -> None:
    ours = everywhere()
    assert set(ours) >= {"--debug", "--verbose", "--quiet", "--log-format", "--version"}
    own = {name for each in commands(built(cli.app)).values() for option in each.params for name in option.opts}
    assert not set(ours) & own


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("words", [["--log-format", "json"], ["--log-format=json"]])
@pytest.mark.parametrize("place", [0, 1, 2, 4])
def test_logs_are_json_wherever_that_is_said(
    place: int, words: list[str], rows: Path, capsys: pytest.CaptureFixture[str], clean: None
) -> None:
    report = [] if place == 4 else ["--no-report"]  # one of them says where the report is, too
    command = ["run", "rows.csv", "-o", "out", *report, *QUICK]
    assert nst(*command[:place], *words, *command[place:]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert all(json.loads(line)["SeverityText"] for line in shown.err.splitlines())


@pytest.mark.usefixtures("quick")
def test_a_quiet_run_shows_errors_alone(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("lost.csv").write_text("content,style\ngone.png,painting.png\n")
    assert nst("run", "rows.csv", "-o", "out", *QUICK, "--quiet") == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")
    assert nst("run", "lost.csv", "-o", "lost", "--max-failures", "0", *QUICK, "--quiet") == 3
    assert "gone.png: it does not exist" in capsys.readouterr().err
