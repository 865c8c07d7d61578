"""Every option of every command, job file and notebook function arrives in the options of the run.

Each is set to a value that is no default, and what reaches the pipeline is compared: an option that is lost on the way
arrives as its default and fails. Nothing is computed here.
"""

import inspect
import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer
import yaml

from jobs import cli
from jobs.jobfile import load
from jobs.options import takes, variable
from jobs.runner import JOB_VARIABLE, PROGRESS_VARIABLE, SUBMISSION_VARIABLE
from pipeline import archives, flow, grids
from pipeline.layout import summary_file
from pipeline.notebook import api
from pipeline.options import GIVEN, OPTIONS, Access, Decoding, Encoding, FailureLimit, RunOptions, run_options
from pipeline.specs import ArchiveJob, GridJob, Keep, ManifestJob, job_of, options_of
from pipeline.specs.run_options import SECTIONS
from pipeline.storage import OPERATORS_VARIABLE
from tests.jobs.test_cli import nst

VALUES: dict[str, Any] = {
    "output": "/elsewhere",
    "weights": "imagenet",
    "num_actors": 3,
    "batch_size": 5,
    "address": "ray://head:10001",
    "row_timeout": 7.5,
    "min_actors": 2,
    "max_actors": 9,
    "actors_per_gpu": 4,
    "device": "cpu",
    "overwrite": True,
    "override": True,
    "max_attempts": 6,
    "stall_timeout": 12.5,
    "max_failures": "5%",
    "tolerate": "3",
    "force": True,
    "allow_read": ("default", "http://10.0.0.1"),
    "allow_write": ("/elsewhere",),
    "max_file_bytes": 777,
    "decode_timeout": 2.5,
    "max_megapixels": 50.5,
    "depth": 16,
    "color_profile": "keep",
}
"""By option, a value that is no default, as people write it."""

FILES: dict[str, dict[str, Any]] = {
    "manifest": {"kind": "manifest", "name": "m", "manifest": "rows.csv", "output": "out"},
    "archive": {
        "kind": "archive",
        "name": "a",
        "photos": "photos",
        "styles": "style.png",
        "output": "out",
        "format": "png",
    },
    "grid": {"kind": "grid", "name": "g", "contents": "photo.png", "styles": "style.png", "output": "out"},
}
"""By kind, the fields that a job file needs."""

TEXTS = {kind: yaml.safe_dump(fields) for kind, fields in FILES.items()}
"""By kind, a job file that has these alone."""

FIELDS: dict[str, dict[str, Any]] = {
    "common": {
        "defaults": {"size": 64},
        "report": {"hourly_price": 3.5},
        "cluster": {
            "address": "http://head:8265",
            "working_dir": "folder",
            "image": "image:1",
            "env": {"A": "b"},
            "pip": ["one"],
            "upload": True,
            "python": "/bin/python",
            "entrypoint_resources": {"CPU": 1.0},
        },
    },
    "manifest": {},
    "archive": {
        "choose": "random",
        "seed": 3,
        "include": ["a*"],
        "exclude": ["b*"],
        "min_bytes": 1,
        "max_bytes": 2,
        "after": "2026-01-31",
        "before": "2026-02-28",
        "format": "png",
        "quality": 50,
        "extensionless": True,
        "strip": True,
        "style_folders": True,
    },
    "grid": {
        "parameters": {"tv_weight": {"uniform": [0, 1]}},
        "samples": {"count": 3, "seed": 4, "method": "random"},
        "exclude": [{"size": 64}],
        "keep": {"runs": 2, "days": 3.0},
    },
}
"""By kind, fields of a job file that are no options of a run, each with a value that is no default."""

COMMANDS: dict[str, list[str]] = {
    "run rows.csv": ["run", "rows.csv", "--output", "out"],
    **{f"run {kind}.yaml": ["run", f"{kind}.yaml"] for kind in FILES},
    "plan rows.csv": ["plan", "rows.csv"],
    **{f"plan {kind}.yaml": ["plan", f"{kind}.yaml"] for kind in FILES},
    "archive": ["archive", "photos", "--style", "style.png", "--output", "out", "--format", "png"],
    "archive --plan": ["archive", "photos", "--style", "style.png", "--output", "out", "--format", "png", "--plan"],
    "grid run": ["grid", "run", "grid.yaml"],
    "grid plan": ["grid", "plan", "grid.yaml"],
    "retry": ["retry", "out", "--failed"],
}
"""Every command that computes or plans, with what it needs."""


class Arrived(Exception):
    """Raised where the pipeline would begin to compute."""


def caught_by(caught: list[RunOptions]) -> Callable[..., Any]:
    """A function that takes the place of one that computes, and keeps the options that it is given."""

    def stop(*values: Any, **named: Any) -> Any:
        caught.extend(value for value in (*values, *named.values()) if isinstance(value, RunOptions))
        raise Arrived

    return stop


@pytest.fixture
def arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunOptions]:
    """What options reach the pipeline, in a folder with a job file of each kind."""
    caught: list[RunOptions] = []
    stop = caught_by(caught)
    for name in ("run", "retry", "estimate", "estimate_rows"):
        monkeypatch.setattr(flow, name, stop)
    monkeypatch.setattr(archives, "run_archive", stop)
    monkeypatch.setattr(grids, "run_grid", stop)
    module = import_module("pipeline.execute")
    monkeypatch.setattr(module, "expansion_of", lambda *_: type("Nothing", (), {"rows": []}))
    monkeypatch.setattr(module, "rows_of", lambda *_: iter(()))
    monkeypatch.setattr("jobs.commands.grid._describe", lambda *_: None)
    monkeypatch.setattr("pipeline.outputs.run_of", lambda output: output)
    monkeypatch.chdir(tmp_path)
    for kind, text in TEXTS.items():
        Path(f"{kind}.yaml").write_text(text)
    return caught


def value_of(options: RunOptions, name: str) -> Any:
    value: Any = options
    for part in OPTIONS[name].path:
        value = getattr(value, part)
    return value


def wanted(name: str, value: Any = None) -> Any:
    value = VALUES[name] if value is None else value
    return FailureLimit.parse(value) if name in ("max_failures", "tolerate") else value


def words(name: str) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    value = VALUES[name]
    if isinstance(value, tuple):
        return [word for one in value for word in (option, one)]
    return [option] if value is True else [option, str(value)]


def names_of(command: str) -> list[str]:
    decided = {"retry": ("output", "depth", "color_profile", "overwrite", "override"), "archive": ("override",)}
    return [name for name in GIVEN if name not in decided.get(command.partition(" --")[0], ())]


def test_every_option_has_a_value_here_that_is_no_default() -> None:
    assert VALUES.keys() == GIVEN.keys()
    assert [name for name in GIVEN if wanted(name) == value_of(run_options(), name)] == []


def computing() -> Iterator[str]:
    """Every command with the options of a run."""
    head: Any = typer.main.get_command(cli.app)
    groups = {"": head.commands, "grid ": head.commands["grid"].commands}
    for prefix, commands in groups.items():
        for name, command in commands.items():
            if {"num_actors", "stall_timeout"} & {parameter.name for parameter in getattr(command, "params", [])}:
                yield prefix + name


def test_every_command_that_computes_is_tried() -> None:
    assert set(computing()) == {" ".join(line[: 2 if line[0] == "grid" else 1]) for line in COMMANDS.values()}


@pytest.mark.parametrize(
    ("command", "name"), [(command, name) for command in COMMANDS for name in names_of(command)], ids=str
)
def test_an_option_of_a_command_arrives(command: str, name: str, arrived: list[RunOptions]) -> None:
    assert nst(*COMMANDS[command], *words(name)) == 2  # since `Arrived` is raised before anything starts
    assert [value_of(options, name) for options in arrived] == (
        [""] if name == "output" and command in ("plan grid.yaml", "grid plan") else [wanted(name)]
    )


@pytest.mark.parametrize("name", GIVEN)
def test_an_option_arrives_from_the_environment(
    name: str, arrived: list[RunOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    value = VALUES[name]
    text = " ".join(value) if isinstance(value, tuple) else "1" if value is True else str(value)
    monkeypatch.setenv(f"NST_{name.upper()}", text)
    assert nst("run", "manifest.yaml") == 2
    assert [value_of(options, name) for options in arrived] == [wanted(name)]


def test_the_command_line_outranks_the_environment(arrived: list[RunOptions], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_BATCH_SIZE", "7")
    assert nst("run", "manifest.yaml", "--batch-size", "5") == 2
    assert [options.resources.batch_size for options in arrived] == [5]


def test_no_option_takes_a_variable_that_means_something_else() -> None:
    others = {PROGRESS_VARIABLE, SUBMISSION_VARIABLE, JOB_VARIABLE, OPERATORS_VARIABLE}
    taken = {variable(name) for name in GIVEN}
    assert taken.isdisjoint(others)
    assert not [name for name in taken if name.startswith("NST_STORAGE_")]


STYLIZE = ["stylize", "photo.png", "style.png", "-o", "out.png"]


def test_stylize_has_the_options_that_it_needs() -> None:
    head: Any = typer.main.get_command(cli.app)
    own = {parameter.name for parameter in head.commands["stylize"].params}
    assert own & GIVEN.keys() == {
        "output",
        "weights",
        "depth",
        "color_profile",
        *Access.model_fields,
        *Decoding.model_fields,
    }


@pytest.mark.parametrize("name", ["weights", "depth", "color_profile", *Access.model_fields, *Decoding.model_fields])
def test_an_option_of_stylize_arrives(name: str, arrived: list[RunOptions], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.flow.stylize_one", caught_by(arrived))
    assert nst(*STYLIZE, *words(name)) == 2
    assert [value_of(options, name) for options in arrived] == [wanted(name)]


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    "name", [name for model in SECTIONS.values() for name in model.model_fields] + ["weights", "depth", "color_profile"]
)
def test_a_field_of_a_job_file_arrives(kind: str, name: str, arrived: list[RunOptions]) -> None:
    section = next((section for section, model in SECTIONS.items() if name in model.model_fields), None)
    fields = {section: {name: VALUES[name]}} if section else {name: VALUES[name]}
    Path(f"{kind}.yaml").write_text(yaml.safe_dump(FILES[kind] | fields))
    assert nst("run", f"{kind}.yaml") == 2
    assert [value_of(options, name) for options in arrived] == [wanted(name)]


@pytest.mark.parametrize(("kind", "model"), [("manifest", ManifestJob), ("archive", ArchiveJob), ("grid", GridJob)])
def test_no_field_of_a_job_file_keeps_its_default(kind: str, model: Any, arrived: list[RunOptions]) -> None:
    del arrived
    sections = {
        section: {name: VALUES[name] for name in part.model_fields if name not in ("min_actors", "max_actors")}
        for section, part in SECTIONS.items()
    }
    fields = (
        FILES[kind]
        | FIELDS["common"]
        | FIELDS[kind]
        | sections
        | {"weights": "imagenet", "depth": 16, "color_profile": "keep"}
    )
    assert fields.keys() == model.model_fields.keys()
    Path(f"{kind}.yaml").write_text(yaml.safe_dump(fields))
    job: Any = load(f"{kind}.yaml")
    kept = [name for name, field in model.model_fields.items() if getattr(job, name) == field.get_default()]
    assert kept == []
    for section, values in {**sections, **FIELDS["common"], "samples": FIELDS["grid"]["samples"]}.items():
        if section != "defaults" and hasattr(job, section):
            part = getattr(job, section)
            declared = type(part).model_fields
            defaults = {name: declared[name].get_default(call_default_factory=True) for name in values}
            same = [name for name in values if getattr(part, name) == defaults[name]]
            assert (section, same) == (section, [])
    if kind == "archive":
        assert options_of(job).encoding.model_dump() == {
            "quality": 50,
            "keep_exif": False,
            "depth": 16,
            "color_profile": "keep",
        }


@pytest.mark.parametrize("function", ["run", "plan"])
@pytest.mark.parametrize("name", [name for name in GIVEN if name != "output"])
@pytest.mark.parametrize("rows", ["table", *FILES])
def test_an_argument_of_a_notebook_function_arrives(
    function: str, name: str, rows: str, arrived: list[RunOptions]
) -> None:
    given: Any = [{"content": "a.png", "style": "b.png"}] if rows == "table" else load(f"{rows}.yaml")
    with pytest.raises(Arrived):
        getattr(api, function)(given, "out", **{name: VALUES[name]})
    assert [value_of(options, name) for options in arrived] == [wanted(name)]


@pytest.mark.parametrize("function", [api.run, api.plan])
def test_notebook_functions_show_every_option(function: Any) -> None:
    assert set(inspect.signature(function).parameters) >= GIVEN.keys()
    with pytest.raises(TypeError, match=r"colour: did you mean color_profile\?"):
        function([], "out", colour="red")


def test_type_checkers_know_the_options_of_notebook_functions() -> None:
    hints = get_type_hints(api.Given)
    assert hints.keys() == GIVEN.keys() - {"output"}
    for name, hint in hints.items():
        kinds = {*get_args(GIVEN[name].annotation | None)}
        assert {*get_args(hint)} == kinds, name


def test_sections_of_job_files_have_the_types_of_the_options() -> None:
    for model in SECTIONS.values():
        for name, field in model.model_fields.items():
            assert name in ("max_failures", "tolerate") or field.annotation == OPTIONS[name].annotation
            assert (field.default, field.description) == (OPTIONS[name].default, OPTIONS[name].description)


def test_an_option_that_is_lost_on_the_way_is_noticed() -> None:
    """The premise of this file: a command gets only what was given, so that nothing hides behind a default."""
    seen: list[dict[str, Any]] = []

    def command(ctx: typer.Context, given: dict[str, Any]) -> None:
        seen.append(given)

    app = typer.Typer()
    from jobs.options import run_options as parameters_of_a_run

    app.command()(takes(parameters_of_a_run())(command))
    from typer.testing import CliRunner

    assert CliRunner().invoke(app, ["--num-actors", "3"]).exit_code == 0
    assert json.loads(json.dumps(seen)) == [{"num_actors": 3}]


@pytest.mark.parametrize("name", FIELDS["archive"])
def test_an_option_that_selects_photos_arrives(
    name: str, arrived: list[RunOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[ArchiveJob] = []
    monkeypatch.setattr(archives, "run_archive", lambda job, *_, **__: jobs.append(job))
    value = FIELDS["archive"][name]
    text = value[0] if isinstance(value, list) else str(value)
    option = f"--{name.replace('_', '-')}"
    nst(*COMMANDS["archive"], *([option] if value is True else [option, text]))
    Path("archive.yaml").write_text(yaml.safe_dump(FILES["archive"] | {name: value}))
    assert [getattr(job, name) for job in jobs] == [getattr(load("archive.yaml"), name)]
    assert getattr(jobs[0], name) != ArchiveJob.model_fields[name].default


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_is_not_given_keeps_its_default(command: str, arrived: list[RunOptions]) -> None:
    """Were `force` always on for job files, each run would rob the one that is at work."""
    assert nst(*COMMANDS[command]) == 2
    (options,) = arrived
    defaults = run_options()
    changed = {name for name in GIVEN if value_of(options, name) != value_of(defaults, name)}
    assert changed <= {"output"}
    assert options.release is False


@pytest.mark.parametrize("strip", [True, False])
def test_places_and_cameras_stay_in_the_pictures_of_an_archive_unless_they_are_stripped(
    strip: bool, arrived: list[RunOptions]
) -> None:
    assert nst(*COMMANDS["archive"], "--quality", "50", *["--strip"] * strip) == 2
    Path("archive.yaml").write_text(yaml.safe_dump(FILES["archive"] | {"strip": strip, "quality": 50}))
    assert nst("run", "archive.yaml") == 2
    assert [options.encoding for options in arrived] == [Encoding(quality=50, keep_exif=not strip)] * 2


@pytest.mark.parametrize("format", ["keep", "jpg", "webp", "avif"])
def test_an_archive_refuses_a_depth_that_its_format_does_not_hold(format: str) -> None:
    with pytest.raises(ValueError, match=r"format = .*: expected png or tif, since depth is 16"):
        job_of({**FILES["archive"], "format": format, "depth": 16})


@pytest.mark.parametrize("statuses", [["failed"], ["quarantined"], ["failed", "quarantined"]])
def test_rows_to_retry_are_those_that_are_named(
    statuses: list[str], arrived: list[RunOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(flow, "retry", lambda statuses, *_, **__: asked.append(statuses))
    nst("retry", "out", *(f"--{status}" for status in statuses))
    assert asked == [tuple(statuses)]
    assert arrived == []


@pytest.mark.parametrize(("given", "weights"), [([], "imagenet"), (["--weights", "mine.pth"], "mine.pth")])
def test_a_retry_takes_the_weights_of_the_run_unless_others_are_given(
    given: list[str], weights: str, arrived: list[RunOptions]
) -> None:
    Path("out").mkdir()
    Path(summary_file("out")).write_text(json.dumps({"job": {"weights": "imagenet"}}))
    assert nst("retry", "out", "--failed", *given) == 2
    assert [options.weights for options in arrived] == [weights]


def test_what_a_grid_keeps_arrives(arrived: list[RunOptions], monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    monkeypatch.setattr(grids, "run_grid", lambda *_, keep, **__: kept.append(keep))
    Path("grid.yaml").write_text(yaml.safe_dump(FILES["grid"] | {"keep": FIELDS["grid"]["keep"]}))
    nst("grid", "run", "grid.yaml")
    assert kept == [Keep(**FIELDS["grid"]["keep"])]
    assert arrived == []
