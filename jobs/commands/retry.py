"""`nst retry`: compute failed or quarantined rows again."""

from typing import Annotated, Any

import typer

from jobs.commands import _job
from jobs.exit_codes import explains_exit_codes
from jobs.options import Computing, Costs, run_options, takes

_DECIDED = ("output", "depth", "color_profile", "overwrite", "override")
"""Options of a run of which the results and the choice of rows decide."""


@takes(run_options(without=_DECIDED, elsewhere=("weights",)))
@explains_exit_codes("retry")
def retry(
    ctx: typer.Context,
    output: Annotated[
        str, typer.Argument(help="Output of a run; or a grid's, for its latest run; or that with @previous behind it.")
    ],
    given: dict[str, Any],
    failed: Annotated[bool, typer.Option("--failed", help="Rows that failed.")] = False,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="Rows that crashed their processes.")] = False,
    *,
    how: Computing,
    costs: Costs,
) -> None:
    """Compute failed or quarantined rows again, with the parameters in the results, without their manifest.

    Weights are those of the last run unless --weights is given. --rate, --price and --json are for --dry-run.

    Example: nst retry out --quarantined --num-actors 1
    """
    from pipeline import options, storage
    from pipeline.execute import RetryJob
    from pipeline.outputs import run_of, summary

    statuses = [name for name, wanted in (("failed", failed), ("quarantined", quarantined)) if wanted]
    if not statuses:
        raise ValueError("nothing to retry: give --failed, --quarantined or both")
    output = storage.absolute(run_of(output))
    given = {"weights": summary.weights_of(output), **given, "output": output}
    _job.compute(RetryJob(tuple(statuses)), options.run_options(**given), how, costs, shown=ctx.obj)
