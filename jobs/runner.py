"""A run as a command: progress, a summary, and an exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from jobs.console import complain, err, out

if TYPE_CHECKING:
    from pipeline.outputs import Progress
    from pipeline.specs import JobFile

SOME_ROWS_FAILED, BROKEN_OFF, INTERRUPTED, TERMINATED = 1, 3, 130, 143

PROGRESS_VARIABLE, SUBMISSION_VARIABLE = "NST_PROGRESS", "NST_SUBMISSION"
"""Environment variables of a submitted job: where it says how far it is, and what it is called on its cluster."""


def launch(
    work: Callable[[Callable[[Progress], None]], Progress],
    output: str,
    *,
    results: Callable[[], str] | None = None,
    out: Console,
    err: Console,
    debug: bool,
    report: bool = True,
    hourly_price: float | None = None,
) -> int:
    """Do the work of a run, which reports its progress to the function that it is given; the exit code.

    SIGTERM ends it like Ctrl-C: finished rows are kept and the lock of the output is given back.

    Args:
        work: the run.
        output: where it writes to.
        results: tells, once it is over, where its results are, if not there.
        out: for progress and the summary.
        err: for complaints.
        debug: let errors through, with their tracebacks.
        report: whether the page of the results is made at the end.
        hourly_price: dollars for an hour of one device, for the page.

    Raises:
        RunBroken: only with `debug`.
    """
    from jobs.console import LiveProgress, native_stderr_hidden, print_summary
    from pipeline import storage
    from pipeline.flow import RunBroken, TooManyFailures
    from pipeline.outputs import ProgressFile, layout

    if threading.current_thread() is threading.main_thread():  # Ray sets one that does the same, once it is there
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    uri = os.environ.get(PROGRESS_VARIABLE) or layout.progress_file(storage.absolute(output))
    submission = os.environ.get(SUBMISSION_VARIABLE, "")
    try:
        with (
            native_stderr_hidden(unless=debug),
            LiveProgress(out) as live,
            ProgressFile(uri, submission=submission) as told,
        ):

            def on_progress(progress: Progress) -> None:
                live.update(progress)
                told.update(progress)

            progress = work(on_progress)
    except (KeyboardInterrupt, SystemExit) as stop:
        err.print("Interrupted. Finished rows are kept; the same command goes on from there.", soft_wrap=True)
        return INTERRUPTED if isinstance(stop, KeyboardInterrupt) else TERMINATED
    except RunBroken as error:
        if debug:
            raise
        complain(err, str(error))
        err.print(
            "Finished rows are kept; the same command goes on from there. `nst --debug run …` says more.",
            soft_wrap=True,
        )
        if report and isinstance(error, TooManyFailures):  # storage and cluster are well, and the page says why
            report_at_end(results() if results else output, hourly_price=hourly_price, out=out, err=err)
        return BROKEN_OFF
    results_at = results() if results else output
    print_summary(out, progress, results_at)
    if report:
        report_at_end(results_at, hourly_price=hourly_price, out=out, err=err)
    return SOME_ROWS_FAILED if progress.counts["ok"] < progress.total + progress.quarantined_before else 0


def run(
    job: JobFile,
    *,
    address: str | None = None,
    overwrite: bool = False,
    force: bool = False,
    report: bool = True,
    debug: bool = False,
) -> int:
    """Run a job: progress, a summary, a report; the exit code."""
    from jobs.execute import execute, results_of
    from jobs.runner import launch

    return launch(
        lambda tell: execute(job, tell, address=address, overwrite=overwrite, force=force),
        job.output,
        results=lambda: results_of(job),
        out=out,
        err=err,
        debug=debug,
        report=report,
        hourly_price=job.report.hourly_price,
    )


PATIENCE = 60.0
"""Seconds after which the end of a run begins no more thumbnails: nobody waits longer for a page than for a coffee."""


def report_at_end(output: str, *, hourly_price: float | None, out: Console, err: Console) -> None:
    """Make the page of a run that has just ended; if it cannot be made, say so, and the run is none the worse."""
    from pipeline.report import write_report

    try:
        page = write_report(output, hourly_price=hourly_price, thumbnail_seconds=PATIENCE)
    except Exception as error:  # whatever it is: the results are there
        said = escape(" ".join(f"{type(error).__name__}: {error}".split())[:500])
        again = f"nst report {escape(output)}"
        err.print(f"[yellow]Warning:[/yellow] no report: {said}. Again: {again}", highlight=False, soft_wrap=True)
        return
    out.print(f"Report:   {escape(page)}", highlight=False, soft_wrap=True)
