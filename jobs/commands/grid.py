"""`nst grid`: parameter grids, each run of one kept apart."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from jobs.commands import _job
from jobs.console import go_without_pandas, out, printable
from jobs.exit_codes import explains_exit_codes
from jobs.options import Chosen, Computing, Costs, Parameters, run_options, takes
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.options import RunOptions
    from pipeline.specs import GridJob, JobFile

app = typer.Typer(no_args_is_help=True)


@app.callback()
def grid() -> None:
    """Parameter grids: contents × styles × parameters."""


_JobFile = Annotated[str, typer.Argument(help="A job file of kind grid.")]


@app.command("plan")
@takes(run_options())
@explains_exit_codes("plan")
def plan(
    ctx: typer.Context,
    job: _JobFile,
    given: dict[str, Any],
    parameters: Parameters,
    costs: Costs,
) -> None:
    """Say how many rows a grid has, how long they take and what they cost. Starts nothing and writes nothing.

    Example: nst grid plan grid.yaml --price 2.5
    """
    grid, options = _grid(job, given, parameters.chosen)
    _plan(grid, options, costs)


@app.command("run")
@takes(run_options())
@explains_exit_codes("run")
def run(
    ctx: typer.Context,
    job: _JobFile,
    given: dict[str, Any],
    parameters: Parameters,
    how: Computing,
    costs: Costs,
) -> None:
    """Compute a grid as a run of its own, below OUTPUT/runs/, or go on with the one that broke off.

    --rate, --price and --json are for --dry-run, which is `nst grid plan`.

    Example: nst grid run grid.yaml
    """
    grid, options = _grid(job, given, parameters.chosen)
    _job.compute(grid, options, how, costs, shown=ctx.obj, plan_job=_plan)


@app.command("runs")
def runs(
    output: Annotated[str, typer.Argument(help="A job file of kind grid, or its output.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
) -> None:
    """List the runs of a grid, the newest first.

    Example: nst grid runs grid.yaml
    """
    from rich.markup import escape
    from rich.table import Column, Table

    from jobs.jobfile import is_job_file

    go_without_pandas()
    from pipeline.outputs import grid_runs, layout

    if is_job_file(output):
        output = _grid(output, {}, Chosen({}, {}))[0].output
    latest, listed = grid_runs.latest(output), grid_runs.all_runs(output)
    if not listed:
        raise ValueError(f"{output}: expected the output of a grid, with a run below runs/, or its job file")
    if as_json:
        for grid_run in listed:
            folder = layout.run_folder(output, grid_run.id)
            record = dataclasses.asdict(grid_run) | {"folder": folder, "latest": folder == latest}
            out.out(json.dumps(record, default=lambda moment: moment.isoformat()), highlight=False)
        return
    table = Table("run", "job", Column("rows", justify="right"), "outcome", "began", "ended", "", show_edge=False)
    for grid_run in listed:
        counts = ", ".join(f"{count:,} {status}" for status, count in grid_run.counts.items())
        state = "being deleted" if grid_run.leaving else counts if grid_run.finished_at else "not complete"
        ended = f"{grid_run.finished_at:%Y-%m-%d %H:%M}" if grid_run.finished_at else ""
        mark = "latest" if layout.run_folder(output, grid_run.id) == latest else ""
        began = f"{grid_run.began_at:%Y-%m-%d %H:%M}"
        name, state = escape(printable(grid_run.name)), escape(printable(state))
        table.add_row(grid_run.id, name, f"{grid_run.rows:,}", state, began, ended, mark)
    out.print(table)
    out.print(counted(len(listed), "run"), highlight=False)


def _plan(grid: JobFile, options: RunOptions, costs: Costs) -> NoReturn:
    """Show what a grid has and would take, and end the command."""
    from pipeline.specs import GridJob

    assert isinstance(grid, GridJob)
    if not costs.as_json:
        _describe(grid, options)
    _job.plan(grid, options, costs)


def _grid(path: str, given: Mapping[str, Any], chosen: Chosen) -> tuple[GridJob, RunOptions]:
    """Return the job of a file of kind grid, and the options of its run."""
    from jobs.jobfile import load
    from pipeline.specs import GridJob, options_of, with_options

    job = with_options(load(path), given, chosen.values, chosen.settings)  # whatever its name ends in
    if not isinstance(job, GridJob):
        raise ValueError(f"{path}: kind = {job.kind!r}: expected kind: grid; `nst run` runs any kind")
    _job.note_ignored(job, given, chosen)
    return job, options_of(job, **_job.only_for_runs(given, chosen))


def _describe(job: GridJob, options: RunOptions) -> None:
    """Print how many combinations a grid has and how many of them are left out."""
    from pipeline.execute import expansion_of

    expansion = expansion_of(job, options)
    words = [counted(expansion.combinations, "combination")]
    words += [
        f"{count:,} left out by {', '.join(f'{name}: {_words(value)}' for name, value in condition.items())}"
        for condition, count in zip(job.exclude, expansion.excluded, strict=True)
    ]
    words += [f"{expansion.repeated:,} drawn twice"] if expansion.repeated else []
    out.print(f"{'; '.join(words)}: {counted(len(expansion.rows), 'row')}", markup=False, highlight=False)


def _words(value: object) -> str:
    """Return a condition of a grid as a person reads it."""
    if isinstance(value, Mapping):
        return " ".join(f"{end} {number}" for end, number in value.items())
    return " or ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
