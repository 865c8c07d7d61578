"""`nst run`: compute a manifest or a job file."""

from typing import Annotated, Any

import typer

from jobs import runner
from jobs.commands import _job
from jobs.exit_codes import explains_exit_codes
from jobs.options import Defaults, Settings, WithReport, parameters, run_options, takes


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
) -> None:
    """Compute every row of a manifest, or of a job file, that is not done yet.

    Options that are given outrank what a job file gives.

    Example: nst run pairs.csv --output s3://bucket/night --set size=512 --set iterations=300
    """
    job, options = _job.job_from(manifest, given, parameters(defaults, settings))
    _job.needs_output(options)
    raise typer.Exit(runner.run(job, options, report=with_report, debug=ctx.obj))
