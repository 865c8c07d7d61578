"""`nst archive`: a whole photo archive in one command; what a job file of kind archive describes."""

from typing import Annotated, Any

import typer

from jobs import runner
from jobs.commands import _job
from jobs.exit_codes import explains_exit_codes
from jobs.options import (
    AsJson,
    Defaults,
    DryRun,
    Price,
    Rate,
    Settings,
    WithReport,
    fields_of,
    parameters,
    run_options,
    takes,
)
from pipeline.specs import ArchiveSpec

_SELECTION = fields_of(ArchiveSpec, without=("photos", "styles"))


@takes(_SELECTION, run_options())
@explains_exit_codes("archive")
def archive(
    ctx: typer.Context,
    photos: Annotated[
        str, typer.Argument(help="A folder, or a quoted pattern such as 's3://photos/**/*.jpg'; ** is any folders.")
    ],
    style: Annotated[
        list[str], typer.Option(help="A style picture, any URI, or NAME=URI; repeatable. A pattern takes all that fit.")
    ],
    given: dict[str, Any],
    defaults: Defaults = None,
    settings: Settings = [],
    with_report: WithReport = True,
    dry_run: DryRun = False,
    rate: Rate = None,
    price: Price = None,
    as_json: AsJson = False,
) -> None:
    """Give the photos of an archive a style: those that are new or changed since the last time.

    Results keep the folders and names of their photos, below OUTPUT/images/. OUTPUT/index.parquet lists which photo
    became what. --rate, --price and --json are for --dry-run.

    Example: nst archive 's3://photos/**/*.jpg' --style starry.jpg --output s3://stylised --set size=1024
    """
    from pipeline.specs import fields_with_options, job_of, options_of

    if "output" not in given:
        raise ValueError("--output is missing: expected a folder, any URI")
    selection = {parameter.name: given[parameter.name] for parameter in _SELECTION if parameter.name in given}
    fields = {"kind": "archive", "name": "archive", "photos": photos, "styles": _job.named(style), **selection}
    chosen = parameters(defaults, settings)
    job = job_of(fields_with_options(fields, given, chosen.values))
    options = options_of(job, **_job.only_for_runs(given, chosen))
    if dry_run:
        _job.plan(job, options, rate=rate, price=price, as_json=as_json)
    _job.only_for_plans(rate=rate, price=price, json=as_json)
    raise typer.Exit(runner.run(job, options, report=with_report, shown=ctx.obj))
