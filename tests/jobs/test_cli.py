"""The command line, in this process: what it prints, what it returns, that an error is one clear line."""

import functools
import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from jobs import cli
from jobs.exit_codes import ExitCode
from nst_kernel import ALGORITHM_VERSION
from pipeline import images
from pipeline.outputs import provenance
from pipeline.outputs import table as result_table
from tests.support import REPOSITORY, SHARED, draw
from tests.support.without_ray import without_ray

QUICK = ["--set", "size=32", "--set", "iterations=3", "--set", "scales="]


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Image.fromarray(draw(1, 32, 48)).save("photo.png")
    Image.fromarray(draw(2, 40, 40)).save("painting.png")
    return tmp_path


built = functools.cache(typer.main.get_command)
"""Typer makes its commands anew for each call, which takes longer than most of them."""


def nst(*words: str) -> int:
    """Run a command; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", built)
        patch.setattr(sys, "argv", ["nst", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    code = ended.value.code
    assert code is None or isinstance(code, int), code
    return code or 0


def test_stylize_writes_a_picture(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nst("stylize", "photo.png", "painting.png", "-o", "out.jpg", *QUICK) == 0
    assert images.decode(Path("out.jpg").read_bytes()).shape == (21, 32, 3)
    assert re.search(r"out.jpg: 32 x 21 px, loss \S+ → \S+ in 3 iterations", capsys.readouterr().out)


def test_stylize_reads_a_picture_beyond_the_usual_limit_where_that_is_allowed(
    pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (11_000, 10_100)).save("wide.jpg", quality=10)
    words = ["stylize", "wide.jpg", "painting.png", "-o", "out.png", *QUICK]
    assert nst(*words) == ExitCode.NOTHING_STARTED
    assert "--max-megapixels" in capsys.readouterr().err
    assert nst(*words, "--max-megapixels", "112", "--decode-timeout", "120") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stylize", "gone.png", "painting.png", "-o", "o.png"], "gone.png: it does not exist"),
        (["stylize", "memory://a.png", "painting.png", "-o", "o.png", "--allow-read", "/"], "--allow-read memory://"),
        (["stylize", "photo.png", "painting.png", "-o", "o.png", "--allow-write", "/none"], "cannot write"),
        (["stylize", "photo.png", "painting.png", "-o", "o.png", "--max-file-bytes", "9"], "more than the 9 bytes"),
        (["stylize", "photo.png", "painting.png", "-o", "o.png", "--max-megapixels", "0.0001"], "--max-megapixels"),
        (["stylize", "photo.png", "painting.png", "-o", "o.png", "--decode-timeout", "1e-9"], "--decode-timeout"),
        (["report", ".", "--allow-read", "photos"], "allow_read = ['photos']: expected default, an absolute path"),
        (["results", ".", "--allow-read", "/none", "--allow-write", "/none"], "not among the places"),
        (["compare", ".", ".", "--allow-read", "/none", "--allow-write", "/none"], "not among the places"),
        (["weights", "check", "photo.png", "--allow-read", "/none", "--allow-write", "/none"], "not among the places"),
        (["run", "http://127.0.0.1:1/job.yaml"], "loopback, private or link-local address"),
        (["stylize", "photo.png", "painting.png", "-o", "o.gif"], "expected a name that ends in .png"),
        (["stylize", "photo.png", "painting.png", "-o", "o.png", "--set", "size=big"], "size = 'big': expected"),
        (["stylize", "photo.png", "painting.png", "-o", "o.png", "--set", "colour=red"], "colour = 'red': expected"),
        (["stylize", "photo.png", "painting.png", "-o", "o.png", "--set", "size"], "expected KEY=VALUE"),
        (["stylize", "photo.png", "painting.png", "-o", "o.png", "--defaults", "gone.json"], "gone.json"),
        (["stylize", "photo.png", "painting.png", "-o", "o.png", "--weights", "gone.pth"], "gone.pth"),
        (["results", "nowhere"], "nowhere: expected"),
        (["results", "out", "--where", "colour=red"], "column 'colour': expected one of id,"),
        (["weights", "check", "photo.png"], "no readable .pth or safetensors file"),
    ],
)
def test_an_error_is_one_clear_line(
    pair: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    result_table.commit("out", [{"id": "a", "status": "ok", "finished_at": provenance.now()}])
    assert nst(*words) == ExitCode.NOTHING_STARTED
    shown = capsys.readouterr()
    assert said in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert not Path("o.png").exists()


@pytest.mark.parametrize("place", [0, 2, 6])
def test_debug_shows_the_traceback_and_changes_no_exit_code(
    place: int, pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stylize", "photo.png", "painting.png", "-o", "o.png", "--set", "colour=1"]
    assert nst(*words) == ExitCode.NOTHING_STARTED
    assert nst(*words[:place], "--debug", *words[place:]) == (ExitCode.NOTHING_STARTED if place != 6 else 2)
    shown = capsys.readouterr().err
    assert ("Traceback" in shown) == (shown.count("colour = '1'") > 1)
    assert shown.count("colour = '1'") >= 2


def test_validate_counts_rows_and_lists_problems(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("good.csv").write_text(
        "content,style\nphoto.png,painting.png\npainting.png,photo.png\nphoto.png,painting.png\n"
    )
    assert nst("validate", "good.csv") == 0
    shown = capsys.readouterr().out
    assert "2 rows are valid; 1 repeats others, which are computed once." in shown
    assert "good.csv, line 4: repeats good.csv, line 2" in shown
    Path("bad.csv").write_text("content,style,size\nphoto.png,painting.png,0\nphoto.png,,64\n")
    assert nst("validate", "bad.csv") == ExitCode.NOTHING_STARTED
    shown = capsys.readouterr().err
    assert "bad.csv" in shown
    assert "size" in shown
    assert "style" in shown


def test_validate_names_the_mask_that_is_missing_and_whose_row_alone_fails(
    pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (48, 32)).save("mask.png")
    line = "photo.png,painting.png,mask.png,gone.png"
    Path("rows.csv").write_text(f"content,style,content_mask,style_mask\n{line}\nphoto.png,painting.png,,\n")
    assert nst("validate", "rows.csv") == ExitCode.PROBLEMS
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "2 rows are valid" in shown.out
    assert "rows.csv, line 2, column style_mask: " in shown.out
    assert "gone.png: it does not exist" in shown.out
    assert "1 row would fail, the others would be computed." in shown.out
    assert nst("validate", "rows.csv", "--json") == ExitCode.PROBLEMS
    found = json.loads(capsys.readouterr().out)
    assert (found["valid"], [problem["column"] for problem in found["failing"]]) == (True, ["style_mask"])


def test_validate_holds_layers_against_the_weights(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from tests.support import random_weights

    state: dict[str, torch.Tensor] = {}
    for layer, (weight, bias) in random_weights(deepest="conv2_1").convolutions.items():
        state |= {f"{layer}.weight": weight, f"{layer}.bias": bias}
    torch.save(state, "small.pth")
    Path("rows.csv").write_text("content,style\nphoto.png,painting.png\n")
    assert nst("validate", "rows.csv", "--weights", "small.pth") == ExitCode.NOTHING_STARTED
    assert re.search(r"line 2.*the weights 'small.pth' have no layer conv\d_\d", capsys.readouterr().err)


def test_plan_shows_buckets_work_and_cost_and_starts_nothing(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rows.csv").write_text(
        "id,content,style,pooling\na,photo.png,painting.png,avg\nb,painting.png,photo.png,avg\n"
        "c,painting.png,painting.png,max\nd,gone.png,painting.png,avg\n"
    )
    before = sorted(pair.iterdir())
    words = ["plan", "rows.csv", "--num-actors", "1", "--rate", "1e6", "--price", "36", *QUICK]
    assert nst(*words) == ExitCode.PROBLEMS
    shown = capsys.readouterr().out
    assert re.search(r"32 x 21 .*pooling=avg", shown)
    assert re.search(r"32 x 32 .*pooling=max", shown)
    assert "3 rows to do in 3 batches of 3 buckets, 1 fails at planning" in shown
    assert "gone.png: it does not exist" in shown
    assert "9 loss evaluations" in shown
    assert "1 on cpu" in shown
    assert nst(*words, "--json") == ExitCode.PROBLEMS
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["batches"], len(found["buckets"])) == (3, 3, 3)
    assert found["failures"][0][0] == "d"
    assert found["dollars"] == pytest.approx(found["multiply_adds"] / 1e6 / 100)
    assert sorted(pair.iterdir()) == before


def test_plan_measures_where_no_rate_is_given(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rows.csv").write_text("content,style\nphoto.png,painting.png\n")
    assert nst("plan", "rows.csv", "--output", "out", *QUICK) == 0
    shown = capsys.readouterr().out
    assert "one short evaluation on this machine" in " ".join(shown.split())
    assert "cost" not in shown


def test_a_bad_manifest_is_not_planned(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.csv").write_text("content,style,size\nphoto.png,painting.png,0\nphoto.png,,64\n")
    said = []
    for command in ("validate", "plan"):
        assert nst(command, "bad.csv") == ExitCode.NOTHING_STARTED
        said.append(capsys.readouterr().err)
    assert said[0] == said[1]


def test_failed_rows_as_a_manifest(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nst_kernel import StyleParams
    from pipeline.manifest.reader import read_manifest

    params = StyleParams.of({"preset": "texture", "size": 64})
    asked = {"style": "s3://b/s.png", "params": json.dumps(params.to_json())}
    rows = [{**asked, "id": f"r{n}", "status": status} for n, status in enumerate(["ok", "failed", "quarantined"])]
    rows[1]["output_name"] = "deep/er.jpg"
    result_table.commit("out", [{**row, "finished_at": provenance.now()} for row in rows])
    assert nst("results", "out", "--status", "failed", "--as-manifest", "again.jsonl") == 0
    assert "1 row:" in capsys.readouterr().out
    (row,) = read_manifest("again.jsonl", encoder_sha256="e").rows
    assert (row.id, row.content, row.style, row.output) == ("r1", None, "s3://b/s.png", "deep/er.jpg")
    assert row.params == params


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("retry", "out"), "--failed, --quarantined or both"),
        (("retry", "nowhere", "--failed"), "no results in"),
        (("run", "rows.csv", "-o", "out", "--max-failures", "few"), "a number of rows, such as 100"),
    ],
)
def test_what_cannot_be_started_says_why(
    command: tuple[str, ...], said: str, pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nst(*command) == 2
    assert said in capsys.readouterr().err


def test_results_are_filtered_sorted_and_chosen(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"id": f"r{n}", "style": f"s{n % 2}.png", "status": "failed" if n == 3 else "ok", "total_loss": float(n)}
        for n in range(4)
    ]
    result_table.commit("out", [{**row, "finished_at": provenance.now()} for row in rows])

    def ids(*options: str) -> list[str]:
        assert nst("results", "out", "--json", *options) == 0
        return [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()]

    assert ids() == ["r0", "r1", "r2", "r3"]
    assert ids("--status", "failed") == ["r3"]
    assert ids("--where", "style=S1") == ["r1", "r3"]
    assert ids("--sort", "-total_loss", "--limit", "2") == ["r3", "r2"]
    assert nst("results", "out", "--columns", "id,total_loss") == 0
    assert re.search(r"r2\s+\S\s+2\b", capsys.readouterr().out)


def commands(head: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """The words of every command, through all groups."""
    for name, command in head.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *words, name)
        else:
            yield (*words, name)


COMMANDS = list(commands(built(cli.app)))


def test_commands_of_groups_are_found() -> None:
    assert {("run",), ("jobs",), ("weights", "check")} < set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_commands_help_has_an_example_of_it(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert nst(*command, "--help") == 0
    assert f"Example: nst {' '.join(command)}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", [(), *COMMANDS], ids=" ".join)
def test_a_commands_help_fills_its_lines(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert nst(*command, "--help") == 0
    text = capsys.readouterr().out.partition("╭")[0].splitlines()
    for line, following in itertools.pairwise(map(str.strip, text)):
        assert not (line and following) or len(f"{line} {following.split()[0]}") > 78, f"{line!r} is short"


def test_help_lists_the_uses(capsys: pytest.CaptureFixture[str]) -> None:
    assert nst("--help") == 0
    shown = capsys.readouterr().out
    for use in ("stylize", "validate", "plan", "run", "results", "retry", "submit"):
        assert f"nst {use} " in shown


@pytest.mark.usefixtures("without_ray")
def test_run_from_manifest_to_summary(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rows.csv").write_text("id,content,style\nfine,photo.png,painting.png\nlost,gone.png,painting.png\n")
    Path("defaults.json").write_text('{"iterations": 99, "seed": 5}')
    words = ["run", "rows.csv", "--output", "out", "--num-actors", "1", "--defaults", "defaults.json", *QUICK]
    assert nst(*words) == ExitCode.PROBLEMS
    shown = capsys.readouterr().out
    assert "1 failed, 1 ok" in shown
    assert "gone.png: it does not exist" in shown
    params = {row["id"]: json.loads(row["params"]) for row in result_table.read_results("out").to_pylist()}
    assert (params["fine"]["iterations"], params["fine"]["seed"]) == ([3], 5)
    Path("gone.png").write_bytes(Path("photo.png").read_bytes())
    assert nst(*words) == 0
    assert "1 was done before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "sise=64"], "--set sise = '64': expected a known name; did you mean size?"),
        (["--set", "size=big", "--set", "alhpa=1"], "did you mean alpha?; --set size = 'big': expected a whole number"),
        (["--defaults", "defaults.json"], "--defaults defaults.json: pooling = 'mean': expected avg or max"),
        (["--defaults", "defaults.json", "--set", "pooling=min"], "--set pooling = 'min'"),
        (["--defaults", "defaults.json", "--set", "pooling=max", "--set", "alpha=-1"], "--set content_weight = '-1'"),
    ],
)
def test_a_bad_parameter_is_named_by_the_option_that_gave_it(
    pair: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    Path("defaults.json").write_text('{"pooling": "mean"}')
    Path("rows.csv").write_text("content,style\nphoto.png,painting.png\n")
    for command in (["validate", "rows.csv"], ["plan", "rows.csv"], ["run", "rows.csv", "-o", "out"]):
        assert nst(*command, *words) == ExitCode.NOTHING_STARTED
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (
            ["--set", "preset=gatys2015", "--set", "alpha=5"],
            "preset=gatys2015: content_weight=5 changes one of two weights",
        ),
        (["--set", "preset=gatys2015"], "preset=gatys2015: alpha/beta = 1e-3"),
        (["--set", "preset=johnson"], "preset=johnson: its weights hold for the original VGG-19 of Caffe"),
        (["--set", "alpha=5"], ""),
    ],
)
def test_weights_that_may_not_give_what_is_expected_are_remarked_on(
    pair: Path, capsys: pytest.CaptureFixture[str], words: list[str], note: str
) -> None:
    Path("rows.csv").write_text("content,style\nphoto.png,painting.png\n")
    job = {"kind": "manifest", "name": "night", "manifest": "rows.csv", "output": "out"}
    Path("job.yaml").write_text(json.dumps(job))
    for command in (["validate", "rows.csv"], ["plan", "rows.csv", "--rate", "1e9"], ["validate", "job.yaml"]):
        assert nst(*command, *words) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert shown.count("Note: ") == shown.count(f"Note: {note}") == bool(note), command


def test_stylize_says_that_a_picture_is_still_the_photo(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["stylize", "photo.png", "painting.png", "-o", "out.png", *QUICK, "--set", "iterations=1"]
    assert nst(*words) == 0
    assert "Note: the loss never fell below its start" in " ".join(capsys.readouterr().out.split())


def test_the_embedded_encoder_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = REPOSITORY / "nst_kernel" / "encoder" / "embedded" / "vgg19_kmeans.safetensors"
    assert nst("weights", "check", str(file)) == 0
    assert "This is the embedded encoder, intact" in capsys.readouterr().out
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(data)
    assert nst("weights", "check", str(tmp_path / "damaged.safetensors")) == ExitCode.PROBLEMS
    assert "These are not them, or damaged" in capsys.readouterr().out


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real weights are not part of the repository")
def test_other_files_are_not_the_imagenet_ones(capsys: pytest.CaptureFixture[str]) -> None:
    for file in sorted((SHARED / "weights").iterdir()):
        assert nst("weights", "check", str(file)) == ExitCode.PROBLEMS
        assert "differs" in capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert nst("--version") == 0
    assert re.fullmatch(rf"nst \d\S*, algorithm {ALGORITHM_VERSION}\n", capsys.readouterr().out)


def test_the_help_lists_commands_in_the_order_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert nst("--help") == 0
    text = capsys.readouterr().out
    panels = ("One pair", "Before a run", "A run", "After it", "On a cluster", "This installation")
    assert [m[1] for m in re.finditer(r"─ ([A-Z][a-z ]+?) ─", text)] == ["Options", *panels]


@pytest.mark.parametrize("word", ["--plan", "--dry-run"])
def test_an_archive_is_planned_by_either_name(word: str, pair: Path) -> None:
    Path("photos").mkdir()
    Path("photo.png").rename("photos/photo.png")
    with without_ray():
        assert nst("archive", "photos", "--style", "painting.png", "-o", "out", word, "--rate", "1e9", *QUICK) == 0
    assert not Path("out").exists()


@pytest.mark.parametrize("well", [True, False])
def test_the_doctor_says_whether_all_is_well(well: bool, pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object, str]] = []

    def checks(home: str, address: str | None, weights: str, *, as_json: bool) -> bool:
        asked.append((home, address, weights))
        Path(home).mkdir(parents=True)
        (Path(home) / "left").touch()
        return well

    monkeypatch.setattr("jobs.commands.selftest._checks", checks)
    assert nst("doctor", "--output", str(pair / "scratch")) == (ExitCode.OK if well else ExitCode.PROBLEMS)
    ((home, address, weights),) = asked
    assert (address, weights) == (None, "embedded")
    assert home.startswith(str(pair / "scratch"))
    assert (Path(home) / "left").exists() is not well


@pytest.mark.parametrize("command", [["run", "rows.csv", "-o", "out"], ["run", "job.yaml"], ["grid", "run", "g.yaml"]])
def test_what_computes_can_be_planned_instead(
    command: list[str], pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("rows.csv").write_text("content,style\nphoto.png,painting.png\n")
    Path("job.yaml").write_text("kind: manifest\nname: m\nmanifest: rows.csv\noutput: out\n")
    Path("g.yaml").write_text("kind: grid\nname: g\ncontents: photo.png\nstyles: painting.png\noutput: out\n")
    assert nst(*command, "--dry-run", "--json", "--rate", "1e9", *QUICK) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 1
    assert not Path("out").exists()
    assert nst(*command, "--rate", "1e9", *QUICK) == ExitCode.NOTHING_STARTED
    assert "--rate: expected --dry-run with it" in capsys.readouterr().err
