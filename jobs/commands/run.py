"""`nst run`: compute a manifest or a job file."""

from typing import Annotated, Any

import typer

from jobs.commands import _job
from jobs.exit_codes import explains_exit_codes
from jobs.options import Computing, Costs, Parameters, run_options, takes


@takes(run_options())
@explains_exit_codes("run")
def run(
    ctx: typer.Context,
    manifest: Annotated[
        list[str],
        typer.Argument(help="CSV, JSON Lines or Parquet: files or a folder, any URI. Or one job file, .yaml."),
    ],
    given: dict[str, Any],
    parameters: Parameters,
    how: Computing,
    costs: Costs,
) -> None:
    """Compute every row of a manifest, or of a job file, that is not done yet.

    Options that are given outrank what a job file gives. --rate, --price and --json are for --dry-run.

    Example: nst run pairs.csv --output s3://bucket/night --set size=512 --set iterations=300
    """
    with _job.every_problem_listed(as_json=how.dry_run and costs.as_json):
        job, options = _job.job_from(manifest, given, parameters.chosen)
        if how.dry_run:
            _job.plan(job, options, costs)
    _job.compute(job, options, how, costs, shown=ctx.obj)
