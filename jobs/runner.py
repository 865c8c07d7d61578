"""A run as a command: progress, a summary, a report, and an exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape

from jobs.console import Shown, complain, json_lines, logs_json, near, remark, show_traceback
from jobs.console import err as standard_error
from jobs.console import out as standard_output
from jobs.exit_codes import ExitCode
from pipeline.options import NONE, FailureLimit, under_access

if TYPE_CHECKING:
    from pipeline.execute import Job
    from pipeline.options import RunOptions
    from pipeline.outputs import Progress

    Work = Callable[[Callable[[Progress], None]], Progress]

PROGRESS_VARIABLE, SUBMISSION_VARIABLE = "NST_PROGRESS", json_lines.SUBMISSION_VARIABLE
"""Environment variables of a submitted job: where it writes how far it is, and what it is called on its cluster."""

JOB_VARIABLE = "NST_JOB"
"""Environment variable of a submitted job that has the text of its job file, where no folder travels with it."""

SUCCESS_VARIABLE = "NST_FAILED_ROWS_ARE_SUCCESS"
"""Environment variable of a submitted job, 1 where another try would start whole machines for the same failed rows."""

REPORT_SECONDS = 60.0
"""Seconds after which the report at the end of a run begins no more thumbnails, since somebody waits for its end."""


@dataclass(frozen=True)
class Terminal:
    """Where a command writes to.

    Attributes:
        out: for progress and the summary.
        err: for errors.
        debug: whether errors come with their tracebacks.
    """

    out: Console = standard_output
    err: Console = standard_error
    debug: bool = False

    @classmethod
    def of(cls, shown: Shown) -> Self:
        """Return the terminal of a command that shows everything, or less with --quiet."""
        return cls(Console(quiet=True) if shown.quiet else standard_output, standard_error, shown.debug)


@dataclass(frozen=True)
class Page:
    """The report that is made at the end of a run.

    Attributes:
        hourly_price: dollars for an hour of one device, for the report.
    """

    hourly_price: float | None = None


@dataclass(frozen=True)
class Ending:
    """The settings for the end of a run: where its results are, its page, and what counts as success.

    Attributes:
        results: returns where its results are, once it is over; None: where it writes to.
        page: the report at the end; None: no report.
        tolerate: rows without a good picture with which all is well.
    """

    results: Callable[[], str] | None = None
    page: Page | None = None
    tolerate: FailureLimit = NONE


@under_access
def run(
    job: Job, options: RunOptions, *, report: bool = True, shown: Shown | None = None, port: int | None = None
) -> ExitCode:
    """Run a job as a command: show progress, a summary and where the report is.

    Args:
        job: of any kind.
        options: how it is computed.
        report: whether the report is made at the end.
        shown: how much of it is shown.
        port: on which the page is served while the run goes, 0 for any; None: it is not.

    Returns:
        The exit code.
    """
    from pipeline.execute import execute, results_of

    terminal = Terminal.of(shown or Shown())

    def work(on_progress: Callable[[Progress], None]) -> Progress:
        with _served(job, options, port, terminal):  # over before the report at the end: both write the same folder
            return execute(job, options, on_progress)

    page = Page(job.report.hourly_price) if report else None
    ending = Ending(lambda: results_of(job, options), page, options.tolerate)
    return launch(work, options.output, terminal=terminal, ending=ending)


def _served(
    job: Job, options: RunOptions, port: int | None, terminal: Terminal
) -> contextlib.AbstractContextManager[object]:
    """Return a block in which the page of a run is served, if that is wanted; it says where."""
    if port is None:
        return contextlib.nullcontext()
    from pipeline import storage
    from pipeline.execute import output_at_work
    from pipeline.report import Served

    progress = _progress_file(storage.absolute(options.output))
    served = Served(output_at_work(job, options), port=port, progress=progress, hourly_price=job.report.hourly_price)
    if logs_json():
        remark(terminal.err, f"page: {served.address} while the run goes")
    terminal.out.print(f"Page:     {served.address} while the run goes", highlight=False, soft_wrap=True)
    return served


def launch(
    work: Work,
    output: str,
    *,
    terminal: Terminal | None = None,
    ending: Ending | None = None,
) -> ExitCode:
    """Do the work of a run, which reports its progress to the function that it is given.

    SIGTERM ends it like Ctrl-C: finished rows are kept and the lock of the output is given back.

    Args:
        work: the run.
        output: where it writes to.
        terminal: where the command writes to; by default standard output and standard error.
        ending: what it comes to; by default without a report.

    Returns:
        The exit code.
    """
    from jobs.console import print_summary
    from pipeline.flow import RunBroken, TooManyFailures

    terminal, ending = terminal or Terminal(), ending or Ending()
    results_at, page = ending.results or (lambda: output), ending.page
    _end_in_order_on_sigterm()
    try:
        progress = _with_progress(work, output, terminal)
    except (KeyboardInterrupt, SystemExit) as stop:
        remark(terminal.err, "Interrupted. Finished rows are kept; the same command goes on from there.")
        return ExitCode.INTERRUPTED if isinstance(stop, KeyboardInterrupt) else ExitCode.TERMINATED
    except RunBroken as error:
        if terminal.debug:
            show_traceback(type(error), error, error.__traceback__)
        _explain(error, terminal)
        if page and isinstance(error, TooManyFailures):  # storage and cluster work, and the report shows what failed
            report_at_end(results_at(), page, terminal)
        return ExitCode.BROKEN_OFF
    print_summary(terminal.out, progress, results_at())
    if page:
        report_at_end(results_at(), page, terminal, rows=progress.total + progress.done_before)
    return ExitCode.PROBLEMS if ending.tolerate.exceeded(progress.problems, progress.wanted) else ExitCode.OK


def _end_in_order_on_sigterm() -> None:
    """Let SIGTERM end the process as an exception, until Ray sets a handler that does so too."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.TERMINATED))


def _with_progress(work: Work, output: str, terminal: Terminal) -> Progress:
    """Do the work of a run, with its progress on the terminal and in a file for `nst status`."""
    from jobs.console import LiveProgress
    from pipeline import storage
    from pipeline.outputs import ProgressFile
    from pipeline.process import native_stderr_hidden
    from pipeline.recovery import ledger

    uri = _progress_file(storage.absolute(output))
    submission = os.environ.get(SUBMISSION_VARIABLE, "")
    with (
        native_stderr_hidden(unless=terminal.debug and not logs_json()),
        LiveProgress(terminal.out, at_work=lambda: ledger.rows_at_work(storage.absolute(output))) as live,
        ProgressFile(uri, submission=submission) as file,
    ):

        def on_progress(progress: Progress) -> None:
            live.update(progress)
            file.update(progress)

        return work(on_progress)


def _progress_file(output: str) -> str:
    """Return the file in which a run into an output says how far it is."""
    from pipeline.outputs import layout

    return os.environ.get(PROGRESS_VARIABLE) or layout.progress_file(output)


def _explain(error: Exception, terminal: Terminal) -> None:
    """Print why a run stopped early and how to continue it."""
    complain(terminal.err, str(error))
    again = "Finished rows are kept; the same command goes on from there. `nst --debug run …` says more."
    remark(terminal.err, again)


def report_at_end(output: str, page: Page, terminal: Terminal, *, rows: int = 0) -> None:
    """Make the report of a run that has just ended; where that fails, log a warning, since the results are there."""
    from pipeline.report import write_report_beside

    try:
        file = write_report_beside(output, rows=rows, hourly_price=page.hourly_price, thumbnail_seconds=REPORT_SECONDS)
    except Exception as error:  # of any kind: the results are there
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        remark(terminal.err, f"no report: {reason}. Again: nst report {output}", severity=logging.WARNING)
        return
    terminal.out.print(f"Report:   {escape(near(file))}", highlight=False, soft_wrap=True)
