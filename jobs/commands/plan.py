"""`nst plan`."""

from typing import Annotated

import typer

from jobs.commands import _job
from jobs.commands._job import SOME_ROWS_FAILED, every_problem_listed
from jobs.console import out
from jobs.options import (
    ActorsPerGpu,
    BatchSize,
    Defaults,
    Device,
    MaxActors,
    MinActors,
    NumActors,
    Overwrite,
    Settings,
    Weights,
    parameters,
)


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
    from jobs.console import print_estimate
    from pipeline.flow import estimate
    from pipeline.options import Resources, RunOptions

    resources = Resources(
        num_actors=num_actors,
        batch_size=batch_size,
        address=address,
        min_actors=min_actors,
        max_actors=max_actors,
        actors_per_gpu=actors_per_gpu,
        device=device,
    )
    options = RunOptions(output=output or "", weights=weights, resources=resources, overwrite=overwrite)
    with every_problem_listed():
        if job := _job.job_from(ctx, manifest, parameters(defaults, settings)):
            _job.plan(job, address=address, rate=rate, price=price, overwrite=overwrite, as_json=as_json)
        found = estimate(
            manifest,
            options,
            defaults=parameters(defaults, settings),
            rate=rate,
        )
    print_estimate(out, found, price=price, as_json=as_json)
    if found.failures:
        raise typer.Exit(SOME_ROWS_FAILED)
