"""`nst retry`."""

from typing import Annotated

import typer

from jobs.console import err, out
from jobs.options import BatchSize, Device, Force, MaxAttempts, MaxFailures, NumActors, StallTimeout, WithReport


def retry(
    ctx: typer.Context,
    output: Annotated[
        str, typer.Argument(help="Output of a run; or a grid's, for its latest run; or that with @previous behind it.")
    ],
    failed: Annotated[bool, typer.Option("--failed", help="Rows that failed.")] = False,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="Rows that killed their processes.")] = False,
    weights: Annotated[str | None, typer.Option(help="As for `nst run`; by default those of the last run.")] = None,
    num_actors: NumActors = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; by default one of its own, here.")] = None,
    max_attempts: MaxAttempts = 2,
    stall_timeout: StallTimeout = 600,
    max_failures: MaxFailures = None,
    force: Force = False,
    with_report: WithReport = True,
) -> None:
    """Compute failed or quarantined rows again, as they were asked, without their manifest.

    Exit codes are those of `nst run`.

    Example: nst retry out --quarantined --num-actors 1
    """
    from jobs.runner import launch
    from pipeline import storage
    from pipeline.flow import retry as retry_rows
    from pipeline.options import NO_LIMIT, FailureLimit, Resources, RunOptions
    from pipeline.outputs import run_of, summary

    statuses = [name for name, asked in (("failed", failed), ("quarantined", quarantined)) if asked]
    if not statuses:
        raise ValueError("nothing to retry: give --failed, --quarantined or both")
    output = run_of(output)
    options = RunOptions(
        output=storage.absolute(output),
        weights=weights or summary.weights_of(output) or "embedded",
        resources=Resources(num_actors=num_actors, batch_size=batch_size, address=address, device=device),
        max_attempts=max_attempts,
        stall_timeout=stall_timeout,
        max_failures=FailureLimit.parse(max_failures) if max_failures else NO_LIMIT,
        force=force,
    )
    code = launch(
        lambda on_progress: retry_rows(statuses, options, on_progress=on_progress),
        output,
        out=out,
        err=err,
        debug=ctx.obj,
        report=with_report,
    )
    if code:
        raise typer.Exit(code)
