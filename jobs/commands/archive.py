"""`nst archive`: a whole photo archive, as one command; the same as a job file of kind archive."""

from typing import Annotated

import typer

from jobs import runner
from jobs.commands import _job
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
)


def archive(
    ctx: typer.Context,
    photos: Annotated[
        str, typer.Argument(help="A folder, or a quoted pattern such as 's3://photos/**/*.jpg'; ** is any folders.")
    ],
    style: Annotated[
        list[str], typer.Option(help="A style picture, any URI, or NAME=URI; repeatable. A pattern takes all that fit.")
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="Folder for images/ and the index, any URI.")],
    choose: Annotated[
        str, typer.Option(help="Of several styles: all; round-robin: the next in turn; random: one by chance.")
    ] = "all",
    seed: Annotated[int, typer.Option(min=0, help="Of the choice by chance.")] = 0,
    include: Annotated[
        list[str], typer.Option(metavar="PATTERN", help="Take only photos whose path fits; repeatable.")
    ] = [],
    exclude: Annotated[
        list[str], typer.Option(metavar="PATTERN", help="Leave out photos whose path fits; repeatable.")
    ] = [],
    min_bytes: Annotated[int | None, typer.Option(min=0, help="Leave out smaller files.")] = None,
    max_bytes: Annotated[int | None, typer.Option(min=0, help="Leave out larger files.")] = None,
    after: Annotated[
        str | None, typer.Option(metavar="DATE", help="Leave out files changed before it, such as 2026-01-31.")
    ] = None,
    before: Annotated[str | None, typer.Option(metavar="DATE", help="Leave out files changed then or later.")] = None,
    format: Annotated[
        str, typer.Option(help="keep, png, jpg or webp. keep: as the photo, or PNG where that cannot be.")
    ] = "keep",
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and WebP.")] = 95,
    strip: Annotated[bool, typer.Option("--strip", help="Leave out the photos' date, camera and place.")] = False,
    style_folders: Annotated[
        bool | None,
        typer.Option(
            "--style-folders/--no-style-folders",
            help="Results below a folder for each style, or not; by default if photos get several.",
        ),
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
    dry_run: Annotated[bool, typer.Option("--plan", help="Show what it would do and cost, and start nothing.")] = False,
    rate: Annotated[
        float | None, typer.Option(min=1, help="For --plan: multiply-adds per second of one actor; else measured here.")
    ] = None,
    price: Annotated[
        float | None, typer.Option(min=0, help="For --plan: dollars for an hour of one actor's device.")
    ] = None,
) -> None:
    """Give the photos of an archive a style: those that are new or changed since the last time.

    Results keep the folders and names of their photos, below OUTPUT/images/. OUTPUT/index.parquet says which photo
    became what. Exit codes are those of `nst run`.

    Example: nst archive 's3://photos/**/*.jpg' --style starry.jpg --output s3://stylised --set size=1024
    """
    from jobs.options import parameters
    from pipeline.specs import job_of

    job = job_of(
        {
            "kind": "archive",
            "name": "archive",
            "photos": photos,
            "styles": _job.named(style),
            "output": output,
            "choose": choose,
            "seed": seed,
            "include": include,
            "exclude": exclude,
            "min_bytes": min_bytes,
            "max_bytes": max_bytes,
            "after": after,
            "before": before,
            "format": format,
            "quality": quality,
            "strip": strip,
            "style_folders": style_folders,
            "defaults": parameters(defaults, settings),
            "weights": weights,
            "resources": {
                "num_actors": num_actors,
                "min_actors": min_actors,
                "max_actors": max_actors,
                "actors_per_gpu": actors_per_gpu,
                "device": device,
                "batch_size": batch_size,
            },
            "limits": {
                "row_timeout": row_timeout,
                "max_attempts": max_attempts,
                "stall_timeout": stall_timeout,
                "max_failures": max_failures,
            },
        }
    )
    if dry_run:
        _job.plan(job, address=address, rate=rate, price=price, overwrite=overwrite)
    raise typer.Exit(
        runner.run(job, address=address, overwrite=overwrite, force=force, report=with_report, debug=ctx.obj)
    )
