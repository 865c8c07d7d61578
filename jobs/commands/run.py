"""`nst run`: compute a manifest or a job file."""

from typing import Annotated, Any

import typer

from jobs import runner
from jobs.commands import _job
from jobs.exit_codes import explains_exit_codes
from jobs.options import (
    AsJson,
    Defaults,
    DryRun,
    Port,
    Price,
    Rate,
    Serve,
    Settings,
    WithReport,
    parameters,
    run_options,
    takes,
)


@takes(run_options())
@explains_exit_codes("run")
def run(
    ctx: typer.Context,
    manifest: Annotated[
        list[str],
        typer.Argument(help="CSV, JSON Lines or Parquet: files or a folder, any URI. Or one job file, .yaml."),
    ],
    given: dict[str, Any],
    defaults: Defaults = None,
    settings: Settings = [],
    with_report: WithReport = True,
    dry_run: DryRun = False,
    rate: Rate = None,
    price: Price = None,
    as_json: AsJson = False,
    serve: Serve = False,
    port: Port = 0,
) -> None:
    """Compute every row of a manifest, or of a job file, that is not done yet.

    Options that are given outrank what a job file gives. --rate, --price and --json are for --dry-run.

    Example: nst run pairs.csv --output s3://bucket/night --set size=512 --set iterations=300
    """
    with _job.every_problem_listed():
        job, options = _job.job_from(manifest, given, parameters(defaults, settings))
    if dry_run:
        _job.plan(job, options, rate=rate, price=price, as_json=as_json)
    _job.only_for_plans(rate=rate, price=price, json=as_json)
    _job.needs_output(options)
    raise typer.Exit(runner.run(job, options, report=with_report, shown=ctx.obj, port=port if serve else None))
