"""`nst plan`: what a run would do and cost."""

from typing import Annotated, Any

import typer

from jobs.commands import _job
from jobs.exit_codes import explains_exit_codes
from jobs.options import Costs, Parameters, run_options, takes


@takes(run_options())
@explains_exit_codes("plan")
def plan(
    ctx: typer.Context,
    manifest: Annotated[list[str], typer.Argument(help="As for `nst run`.")],
    given: dict[str, Any],
    parameters: Parameters,
    costs: Costs,
) -> None:
    """Show what a run would do and cost: buckets, batches, memory, work, time. Starts nothing and writes nothing.

    It takes every option of `nst run`. What is done in --output already is left out; --address is of the Ray cluster to
    plan for, by default this machine.

    Example: nst plan pairs.csv --set size=1024 --price 2.5
    """
    with _job.every_problem_listed(as_json=costs.as_json):
        job, options = _job.job_from(manifest, given, parameters.chosen)
        _job.plan(job, options, costs)
