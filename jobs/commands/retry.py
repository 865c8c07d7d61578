"""`nst retry`: compute failed or quarantined rows again."""

from typing import Annotated, Any

import typer

from jobs import runner
from jobs.exit_codes import explains_exit_codes
from jobs.options import WithReport, run_options, takes


@takes(run_options(without=("output", "depth", "color_profile"), elsewhere=("weights",)))
@explains_exit_codes("retry")
def retry(
    ctx: typer.Context,
    output: Annotated[
        str, typer.Argument(help="Output of a run; or a grid's, for its latest run; or that with @previous behind it.")
    ],
    given: dict[str, Any],
    failed: Annotated[bool, typer.Option("--failed", help="Rows that failed.")] = False,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="Rows that crashed their processes.")] = False,
    with_report: WithReport = True,
) -> None:
    """Compute failed or quarantined rows again, with the parameters in the results, without their manifest.

    Weights are those of the last run unless --weights is given.

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
    job = RetryJob(tuple(statuses))
    raise typer.Exit(runner.run(job, options.run_options(**given), report=with_report, shown=ctx.obj))
