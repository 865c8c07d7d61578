"""A run as a command: progress, a summary, and an exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from pipeline.run import Progress

SOME_ROWS_FAILED, BROKEN_OFF, INTERRUPTED = 1, 3, 130


def launch(
    work: Callable[[Callable[[Progress], None]], Progress],
    output: str,
    *,
    results: Callable[[], str] | None = None,
    out: Console,
    err: Console,
    debug: bool,
) -> int:
    """Do the work of a run, which reports its progress to the function that it is given; the exit code.

    Args:
        work: the run.
        output: where it writes to.
        results: tells, once it is over, where its results are, if not there.
        out: for progress and the summary.
        err: for complaints.
        debug: let errors through, with their tracebacks.

    Raises:
        RunBroken: only with `debug`.
    """
    from jobs.display import LiveProgress, native_stderr_hidden, print_summary  # Ray comes along
    from pipeline.run import RunBroken

    try:
        with native_stderr_hidden(unless=debug), LiveProgress(out) as live:
            progress = work(live.update)
    except KeyboardInterrupt:
        err.print("Interrupted. Finished rows are kept; the same command goes on from there.")
        return INTERRUPTED
    except RunBroken as error:
        if debug:
            raise
        complain(err, str(error))
        err.print("Finished rows are kept; the same command goes on from there. `nst --debug run …` says more.")
        return BROKEN_OFF
    print_summary(out, progress, results() if results else output)
    return SOME_ROWS_FAILED if progress.counts["ok"] < progress.total + progress.quarantined_before else 0


def complain(err: Console, message: str) -> None:
    """Say what is wrong, in one line."""
    err.print(f"[bold red]Error:[/bold red] {escape(message)}", highlight=False, soft_wrap=True)
