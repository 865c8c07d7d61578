"""`nst run`."""

from typing import Annotated

import typer

from jobs import runner
from jobs.commands import _job
from jobs.console import err, out
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
    from pipeline.flow import run as run_pipeline
    from pipeline.options import NO_LIMIT, FailureLimit, Interruptions, Resources, RunOptions

    given = parameters(defaults, settings)
    if job := _job.job_from(ctx, manifest, given):
        raise typer.Exit(
            runner.run(job, address=address, overwrite=overwrite, force=force, report=with_report, debug=ctx.obj)
        )
    if not output:
        raise ValueError("--output is missing: expected a folder, any URI")
    limit = FailureLimit.parse(max_failures) if max_failures else NO_LIMIT
    resources = Resources(
        num_actors=num_actors,
        batch_size=batch_size,
        address=address,
        interruptions=Interruptions(row_timeout=row_timeout),
        min_actors=min_actors,
        max_actors=max_actors,
        actors_per_gpu=actors_per_gpu,
        device=device,
    )
    options = RunOptions(
        output=output,
        weights=weights,
        resources=resources,
        overwrite=overwrite,
        max_attempts=max_attempts,
        stall_timeout=stall_timeout,
        max_failures=limit,
        force=force,
    )
    code = launch(
        lambda on_progress: run_pipeline(
            manifest,
            options,
            defaults=given,
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
