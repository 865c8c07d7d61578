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

from jobs.commands.report import report_at_end

if TYPE_CHECKING:
    from pipeline.flow.run import Progress

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
    from jobs.console.tables import LiveProgress, native_stderr_hidden, print_summary
    from pipeline.flow.run import RunBroken, TooManyFailures
    from pipeline.outputs.progress import ProgressFile, progress_file
    from pipeline.storage import operations as storage

    if threading.current_thread() is threading.main_thread():  # Ray sets one that does the same, once it is there
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    uri = os.environ.get(PROGRESS_VARIABLE) or progress_file(storage.absolute(output))
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


def complain(err: Console, message: str) -> None:
    """Say what is wrong, in one line."""
    err.print(f"[bold red]Error:[/bold red] {escape(message)}", highlight=False, soft_wrap=True)
