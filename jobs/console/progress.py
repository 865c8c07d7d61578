"""Show how far a run is: a bar on a terminal, lines in a log."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from jobs.console.output import print_note
from pipeline.outputs import Progress, provenance

LINE_EVERY = 30.0
"""Seconds after which a log gets another line, if a row has finished since the last one."""

LINE_SHARE = 0.05
"""Share of the rows after which a log gets another line in any case."""


class LiveProgress:
    """A display of how many rows of a run are done and failed, of their rate and of the time left.

    On a terminal it is a bar. In a log file it is lines that begin with the time: one at the beginning, one for each
    twentieth of the rows, one when the previous is half a minute old, and always one at the end.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Show progress on a console.

        Args:
            console: where to show it.
            clock: gives the time in seconds.
        """
        self.console, self.clock = console, clock
        self.live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._unwritten: str | None = None
        self._noted: set[str] = set()
        self._share, self._written_at = -1.0, clock()

    def __enter__(self) -> Self:
        starting = "Reading what is asked and starting Ray …"
        if self.live:
            self.live.start()
            self.live.update(starting)
        else:
            self._write(starting)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()
        elif self._unwritten:
            self._write(self._unwritten)

    def update(self, progress: Progress) -> None:
        """Show the progress of a run, or remember it for a later line of the log."""
        for remark in progress.remarks:
            if remark not in self._noted:
                print_note(self.console, remark)
        self._noted.update(progress.remarks)
        share = progress.finished / progress.total if progress.total else 1.0
        line = describe(progress)
        if self.live:
            self.live.update(_bar(share, line))
        elif share - self._share >= LINE_SHARE or share == 1.0 or self.clock() - self._written_at >= LINE_EVERY:
            self._share = share
            self._write(line)
        else:
            self._unwritten = line

    def _write(self, line: str) -> None:
        """Write a line to the log, with the time in front."""
        self._unwritten, self._written_at = None, self.clock()
        self.console.print(
            f"{provenance.now():%Y-%m-%dT%H:%M:%SZ} {line}", markup=False, highlight=False, soft_wrap=True
        )


def _bar(share: float, line: str) -> RenderableType:
    """Return a progress bar with a line of text behind it."""
    grid = Table.grid(padding=(0, 1))
    bar = Bar(BarColumn(bar_width=30), auto_refresh=False)
    bar.add_task("", total=1000, completed=round(1000 * share))
    grid.add_row(bar, line)
    return grid


def describe(progress: Progress) -> str:
    """Return the progress of a run as one line: `12 of 40 rows, 1 failed, 0.52 rows/s, 0:54 left`."""
    words = [f"{progress.finished:,} of {progress.total:,} rows" if progress.total else "nothing left to do"]
    words += [
        f"{progress.counts[status]:,} {status}"
        for status in ("failed", "diverged", "quarantined")
        if progress.counts[status]
    ]
    if progress.warned:
        words.append(f"{progress.warned:,} with a warning")
    if progress.done_before:
        words.append(f"{progress.done_before:,} done before")
    if progress.quarantined_before:
        words.append(f"{progress.quarantined_before:,} quarantined before")
    if progress.passed_over:
        words.append(f"{progress.passed_over.count} passed over")
    if progress.finished and progress.seconds:
        rate = progress.finished / progress.seconds
        words.append(f"{rate:.2f} rows/s")
        if left := progress.total - progress.finished:
            words.append(f"{clock(left / rate)} left")
    return ", ".join(words)


def clock(seconds: float) -> str:
    """Return a number of seconds as text: `0:54`, `12:03` or `3:04:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class IterationBar:
    """A progress bar over the iterations of one pair."""

    def __init__(self, console: Console) -> None:
        self.progress = Bar(
            TextColumn("optimising"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task("", total=None)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.progress.stop()

    def update(self, done: int, total: int) -> None:
        """Show iterations done, of how many."""
        self.progress.update(self.task, completed=done, total=total)
