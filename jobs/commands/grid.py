"""`nst grid`: parameter grids, each run of one kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from jobs import runner
from jobs.commands import _job
from jobs.console import counted, out
from jobs.options import Force, NumActors, WithReport

if TYPE_CHECKING:
    from pipeline.specs import GridJob

app = typer.Typer(no_args_is_help=True, help="Parameter grids: contents × styles × parameters.")

_Job = Annotated[str, typer.Argument(help="A job file of kind grid.")]
_Address = Annotated[str | None, typer.Option(help="Of a Ray cluster; by default one of its own, here.")]


@app.command("plan")
def plan(
    job: _Job,
    num_actors: NumActors = None,
    address: _Address = None,
    rate: Annotated[
        float | None,
        typer.Option(min=1, help="Multiply-adds per second of one actor; by default measured here in about a second."),
    ] = None,
    price: Annotated[float | None, typer.Option(min=0, help="Dollars for an hour of one actor's device.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Say how many rows a grid has, how long they take and what they cost. Starts nothing and writes nothing.

    Example: nst grid plan grid.yaml --price 2.5
    """
    found = _grid(job, {"num_actors": num_actors})
    if not as_json:
        _describe(found)
    _job.plan(found, address=address, rate=rate, price=price, as_json=as_json)


@app.command("run")
def run(
    ctx: typer.Context,
    job: _Job,
    num_actors: NumActors = None,
    address: _Address = None,
    force: Force = False,
    with_report: WithReport = True,
) -> None:
    """Compute a grid as a run of its own, below OUTPUT/runs/, or go on with the one that broke off.

    Exit codes are those of `nst run`.

    Example: nst grid run grid.yaml
    """
    found = _grid(job, {"num_actors": num_actors})
    raise typer.Exit(runner.run(found, address=address, force=force, report=with_report, debug=ctx.obj))


@app.command("runs")
def runs(output: Annotated[str, typer.Argument(help="A job file of kind grid, or its output.")]) -> None:
    """List the runs of a grid, the newest first.

    Example: nst grid runs grid.yaml
    """
    from rich.markup import escape
    from rich.table import Column, Table

    from jobs.jobfile import is_job_file
    from pipeline.outputs import grid_runs, layout

    if is_job_file(output):
        output = _grid(output, {}).output
    latest, found = grid_runs.latest(output), grid_runs.all_runs(output)
    if not found:
        raise ValueError(f"{output}: expected the output of a grid, with a run below runs/, or its job file")
    table = Table("run", "job", Column("rows", justify="right"), "outcome", "began", "ended", "", show_edge=False)
    for grid_run in found:
        counts = ", ".join(f"{count:,} {status}" for status, count in grid_run.counts.items())
        state = "being deleted" if grid_run.leaving else counts if grid_run.finished_at else "not complete"
        ended = f"{grid_run.finished_at:%Y-%m-%d %H:%M}" if grid_run.finished_at else ""
        mark = "latest" if layout.run_folder(output, grid_run.id) == latest else ""
        began = f"{grid_run.began_at:%Y-%m-%d %H:%M}"
        table.add_row(escape(grid_run.id), escape(grid_run.name), f"{grid_run.rows:,}", state, began, ended, mark)
    out.print(table)
    out.print(counted(len(found), "run"), highlight=False)


def _grid(path: str, options: dict[str, object]) -> GridJob:
    from jobs.jobfile import load
    from pipeline.specs import GridJob

    job = _job.with_options(load(path), {name: value for name, value in options.items() if value is not None}, {})
    if not isinstance(job, GridJob):
        raise ValueError(f"{path}: kind = {job.kind!r}: expected kind: grid; `nst run` runs any kind")
    return job


def _describe(job: GridJob) -> None:
    from jobs.execute import expansion_of

    found = expansion_of(job)
    words = [counted(found.combinations, "combination")]
    words += [
        f"{count:,} left out by {', '.join(f'{name}: {_words(value)}' for name, value in condition.items())}"
        for condition, count in zip(job.exclude, found.excluded, strict=True)
    ]
    words += [f"{found.repeated:,} drawn twice"] if found.repeated else []
    out.print(f"{'; '.join(words)}: {counted(len(found.rows), 'row')}", markup=False, highlight=False)


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{end} {number}" for end, number in value.items())
    return " or ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
