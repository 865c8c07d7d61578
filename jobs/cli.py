"""`nst`: the command line."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from jobs.commands import _job as jobfiles
from jobs.commands import archive, cluster, grid, weights
from jobs.commands.compare import compare
from jobs.commands.report import report
from jobs.commands.selftest import selftest
from jobs.commands.stylize import stylize
from jobs.console.output import err, out
from jobs.options import (
    ActorsPerGpu,
    BatchSize,
    Defaults,
    Device,
    Force,
    MaxActors,
    MaxAttempts,
    MaxFailures,
    MinActors,
    NumActors,
    Overwrite,
    RowTimeout,
    Settings,
    StallTimeout,
    Weights,
    WithReport,
    parameters,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Neural style transfer (Gatys, Ecker, Bethge 2015) for whole archives, on Ray Data.

    A manifest lists pairs of pictures; a run gives each content the style of its partner.

    One pair:       [bold]nst stylize[/bold] photo.jpg painting.jpg -o out.png

    Before a run:   [bold]nst validate[/bold] pairs.csv, [bold]nst plan[/bold] pairs.csv --set size=512

    A run:          [bold]nst run[/bold] pairs.csv --output out --set size=512

    Again, nightly: [bold]nst run[/bold] job.yaml, [bold]nst archive[/bold], [bold]nst grid run[/bold] grid.yaml

    After it:       [bold]nst results[/bold] out --status failed, [bold]nst retry[/bold] out --failed

    On a cluster:   [bold]nst submit[/bold] job.yaml --follow, [bold]nst status[/bold]

    Every command's --help has an example.
    """,
    rich_markup_mode="rich",
)
app.add_typer(weights.app, name="weights")
cluster.add_to(app)
app.command()(report)
app.command()(stylize)
app.command()(archive.archive)
app.add_typer(grid.app, name="grid")
app.command()(jobfiles.schema)

SOME_ROWS_FAILED, NOTHING_STARTED = 1, 2


@app.callback()
def main_options(
    ctx: typer.Context, debug: Annotated[bool, typer.Option(help="Show tracebacks and log lines.")] = False
) -> None:
    """Set up logging, which the packages themselves never do."""
    ctx.obj = debug
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    logging.captureWarnings(True)


@app.command()
def run(
    ctx: typer.Context,
    manifest: Annotated[
        list[str],
        typer.Argument(help="CSV, JSON Lines or Parquet: files or a folder, any URI. Or one job file, .yaml."),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Folder for images/ and results/, any URI; a job file may name it."),
    ] = None,
    defaults: Defaults = None,
    settings: Settings = [],
    weights: Weights = "embedded",
    num_actors: NumActors = None,
    min_actors: MinActors = None,
    max_actors: MaxActors = None,
    actors_per_gpu: ActorsPerGpu = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; by default one of its own, here.")] = None,
    overwrite: Overwrite = False,
    row_timeout: RowTimeout = None,
    max_attempts: MaxAttempts = 2,
    stall_timeout: StallTimeout = 600,
    max_failures: MaxFailures = None,
    force: Force = False,
    with_report: WithReport = True,
) -> None:
    """Compute every row of a manifest, or of a job file, that is not done yet.

    Options that are given outrank what a job file says.

    Exit code 0: every row is ok. 1: some rows failed, diverged or are quarantined. 2: nothing was started, the input is
    wrong. 3: it broke off, and the same command goes on from there.

    Example: nst run pairs.csv --output s3://bucket/night --set size=512 --set iterations=300
    """
    from jobs.runner import launch
    from pipeline.flow.run import run as run_pipeline
    from pipeline.options.failure_limit import NO_LIMIT, FailureLimit
    from pipeline.options.resources import Interruptions, Resources

    given = parameters(defaults, settings)
    if job := jobfiles.job_from(ctx, manifest, given):
        raise typer.Exit(
            jobfiles.run(job, address=address, overwrite=overwrite, force=force, report=with_report, debug=ctx.obj)
        )
    if not output:
        raise ValueError("--output is missing: expected a folder, any URI")
    limit = FailureLimit.parse(max_failures) if max_failures else NO_LIMIT
    bounds = Interruptions(row_timeout)
    resources = Resources(num_actors, batch_size, address, bounds, min_actors, max_actors, actors_per_gpu, device)
    code = launch(
        lambda on_progress: run_pipeline(
            manifest,
            output=output,
            defaults=given,
            weights=weights,
            resources=resources,
            overwrite=overwrite,
            max_attempts=max_attempts,
            stall_timeout=stall_timeout,
            max_failures=limit,
            force=force,
            on_progress=on_progress,
        ),
        output,
        out=out,
        err=err,
        debug=ctx.obj,
        report=with_report,
    )
    if code:
        raise typer.Exit(code)


@app.command()
def retry(
    ctx: typer.Context,
    output: Annotated[
        str, typer.Argument(help="Output of a run; or a grid's, for its latest run; or that with @previous behind it.")
    ],
    failed: Annotated[bool, typer.Option("--failed", help="Rows that failed.")] = False,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="Rows that killed their processes.")] = False,
    weights: Annotated[str | None, typer.Option(help="As for `nst run`; by default those of the last run.")] = None,
    num_actors: NumActors = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; by default one of its own, here.")] = None,
    max_attempts: MaxAttempts = 2,
    stall_timeout: StallTimeout = 600,
    max_failures: MaxFailures = None,
    force: Force = False,
    with_report: WithReport = True,
) -> None:
    """Compute failed or quarantined rows again, as they were asked, without their manifest.

    Exit codes are those of `nst run`.

    Example: nst retry out --quarantined --num-actors 1
    """
    from jobs.runner import launch
    from pipeline.flow.retry import retry as retry_rows
    from pipeline.flow.run import Job
    from pipeline.grids.locate import run_of
    from pipeline.options.failure_limit import NO_LIMIT, FailureLimit
    from pipeline.options.resources import Resources
    from pipeline.outputs import summary
    from pipeline.storage import operations as storage

    statuses = [name for name, asked in (("failed", failed), ("quarantined", quarantined)) if asked]
    if not statuses:
        raise ValueError("nothing to retry: give --failed, --quarantined or both")
    output = run_of(output)
    job = Job(
        output=storage.absolute(output),
        weights=weights or summary.weights_of(output) or "embedded",
        resources=Resources(num_actors, batch_size, address, device=device),
        max_attempts=max_attempts,
        stall_timeout=stall_timeout,
        max_failures=FailureLimit.parse(max_failures) if max_failures else NO_LIMIT,
        force=force,
    )
    code = launch(
        lambda on_progress: retry_rows(job, statuses, on_progress=on_progress),
        output,
        out=out,
        err=err,
        debug=ctx.obj,
        report=with_report,
    )
    if code:
        raise typer.Exit(code)


@app.command()
def validate(
    ctx: typer.Context,
    manifest: Annotated[list[str], typer.Argument(help="As for `nst run`.")],
    defaults: Defaults = None,
    settings: Settings = [],
    weights: Weights = "embedded",
) -> None:
    """List every problem of a manifest, with row, column, value and what was expected. Starts nothing.

    Example: nst validate pairs.csv --set preset=gatys2015
    """
    from pipeline.flow.run import validate as validate_manifest

    with _every_problem_listed():
        if job := jobfiles.job_from(ctx, manifest, parameters(defaults, settings)):
            jobfiles.validate(job)
        asked = validate_manifest(manifest, defaults=parameters(defaults, settings), weights=weights)
    for repeat in asked.duplicates:
        out.print(f"{repeat.file}, row {repeat.number}: repeats row {repeat.id}", markup=False, highlight=False)
    repeats = f", {len(asked.duplicates):,} more repeat them and are computed once" if asked.duplicates else ""
    out.print(f"{len(asked.rows):,} rows are valid{repeats}.", highlight=False)


@app.command()
def plan(
    ctx: typer.Context,
    manifest: Annotated[list[str], typer.Argument(help="As for `nst run`.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="As for `nst run`: what is done there is left out.")
    ] = None,
    defaults: Defaults = None,
    settings: Settings = [],
    weights: Weights = "embedded",
    num_actors: NumActors = None,
    min_actors: MinActors = None,
    max_actors: MaxActors = None,
    actors_per_gpu: ActorsPerGpu = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster to plan for; by default this machine.")
    ] = None,
    overwrite: Overwrite = False,
    rate: Annotated[
        float | None,
        typer.Option(min=1, help="Multiply-adds per second of one actor; by default measured here in about a second."),
    ] = None,
    price: Annotated[float | None, typer.Option(min=0, help="Dollars for an hour of one actor's device.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Show what a run would do and cost: buckets, batches, memory, work, time. Starts nothing and writes nothing.

    Exit code 0: every row can be tried. 1: some rows fail already, and why. 2: the input is wrong.

    Example: nst plan pairs.csv --set size=1024 --price 2.5
    """
    from jobs.console.tables import print_estimate
    from pipeline.flow.estimate import estimate
    from pipeline.options.resources import Interruptions, Resources

    bounds = Interruptions()
    resources = Resources(num_actors, batch_size, address, bounds, min_actors, max_actors, actors_per_gpu, device)
    with _every_problem_listed():
        if job := jobfiles.job_from(ctx, manifest, parameters(defaults, settings)):
            jobfiles.plan(job, address=address, rate=rate, price=price, overwrite=overwrite, as_json=as_json)
        found = estimate(
            manifest,
            output=output,
            defaults=parameters(defaults, settings),
            weights=weights,
            resources=resources,
            rate=rate,
            overwrite=overwrite,
        )
    print_estimate(out, found, price=price, as_json=as_json)
    if found.failures:
        raise typer.Exit(SOME_ROWS_FAILED)


@app.command()
def results(
    output: Annotated[
        str, typer.Argument(help="Output of a run; or a grid's, for its latest run; or that with @previous behind it.")
    ],
    status: Annotated[str | None, typer.Option(help="Only ok, failed, diverged or quarantined rows.")] = None,
    where: Annotated[
        list[str], typer.Option(metavar="COLUMN=TEXT", help="Only rows whose column contains the text; repeatable.")
    ] = [],
    sort: Annotated[str, typer.Option(help="Order by this column; a leading - reverses.")] = "id",
    columns: Annotated[str | None, typer.Option(help="Comma-separated; the README lists them.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Rows at most; 0: all. By default 50, and all into a manifest.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines instead of a table.")] = False,
    as_manifest: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write these rows as a manifest, JSON Lines, instead.")
    ] = None,
) -> None:
    """Show what became of each row.

    Example: nst results out --where style=starry --sort -total_loss --columns id,total_loss,output
    """
    from jobs.console.tables import print_results
    from jobs.query import select

    if as_manifest:
        from pipeline.flow import retry as redo
        from pipeline.storage import operations as storage

        asked = ",".join(redo.COLUMNS)
        table = select(output, status=status, where=where, sort=sort, columns=asked, limit=limit or 0)
        storage.write_bytes(storage.absolute(as_manifest), redo.as_manifest(table).encode())
        out.print(f"{len(table):,} rows: {as_manifest}", markup=False, highlight=False, soft_wrap=True)
        return
    shown = 50 if limit is None else limit
    print_results(
        out, select(output, status=status, where=where, sort=sort, columns=columns, limit=shown), as_json=as_json
    )


@app.command()
def params() -> None:
    """List every style parameter with its default and meaning, and the presets with their sources.

    Example: nst params
    """
    from jobs.console.tables import print_params

    print_params(out)


app.command()(compare)
app.command()(selftest)


def main() -> None:
    """Run the command line: an error is one clear line, with `--debug` a traceback."""
    from pipeline.storage.operations import StorageError

    debug = "--debug" in sys.argv
    act: Callable[[], Any] = app
    try:
        act()
    except (ValueError, StorageError) as error:
        if debug:
            raise
        _complain(str(error))
        sys.exit(NOTHING_STARTED)
    except Exception as error:
        if debug:
            raise
        _complain(f"{type(error).__name__}: {' '.join(str(error).split())[:500]}. `nst --debug …` says more.")
        sys.exit(NOTHING_STARTED)


@contextlib.contextmanager
def _every_problem_listed() -> Iterator[None]:
    """A bad manifest ends the command with all its problems, one a line."""
    from pipeline.manifest.reader import ManifestError

    try:
        yield
    except ManifestError as error:
        for problem in error.problems:
            err.print(str(problem), markup=False, highlight=False, soft_wrap=True)
        _complain(f"{len(error.problems):,} in all; nothing would start.")
        raise typer.Exit(NOTHING_STARTED) from None


def _complain(message: str) -> None:
    from jobs.runner import complain

    complain(err, message)


if __name__ == "__main__":
    main()
