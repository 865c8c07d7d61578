"""Show how far a run is: a bar on a terminal, lines in a log."""

import logging
import math
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.spinner import Spinner
from rich.table import Table

from jobs.console.output import print_note
from pipeline.outputs import Progress, provenance
from pipeline.process import STAGES
from pipeline.words import counted

LINE_EVERY = 30.0
"""Seconds after which a log gets another line, whether or not a row has finished since the last one."""

AT_WORK_EVERY = 5.0
"""Seconds between two looks at how many rows are at work, and at whether a log needs another line."""

LINE_SHARE = 0.05
"""Share of the rows after which a log gets another line in any case."""


class LiveProgress:
    """A display of how many rows of a run are done and failed, of their rate and of the time left.

    On a terminal it is a line that moves from the first moment: what the run does before its first row, then a bar. In
    a log file it is lines that begin with the time: one at the beginning, one for each twentieth of the rows, one when
    the previous is half a minute old, whether or not a row has finished, and always one at the end.
    """

    def __init__(
        self,
        console: Console,
        *,
        at_work: Callable[[], int | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Show progress on a console.

        Args:
            console: where to show it.
            at_work: returns how many rows are being computed, if that is known; asked every few
                seconds on a terminal, and in a log for each line before the first row is done.
            clock: gives the time in seconds.
        """
        self.console, self.clock, self.at_work = console, clock, at_work
        self._stage, self._progress, self._flying = "reading what is asked", None, None
        self._spinner = Spinner("dots")
        self._unwritten: str | None = None
        self._noted: set[str] = set()
        self._share, self._began = -1.0, clock()
        self._written_at = self._updated_at = self._began
        self._over, self._lock = threading.Event(), threading.RLock()
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
        self._stages = _Stages(self._enter_stage)
        live = Live(console=console, refresh_per_second=8, transient=True, get_renderable=self._shown)
        self.live = live if console.is_terminal and not console.quiet else None

    _progress: Progress | None
    _flying: int | None

    def __enter__(self) -> Self:
        logging.getLogger(STAGES).addHandler(self._stages)
        logging.getLogger(STAGES).setLevel(logging.INFO)
        if self.live:
            self.live.start()
        else:
            self._write(self._line())
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        logging.getLogger(STAGES).removeHandler(self._stages)
        self._over.set()
        with self._lock:
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
        with self._lock:
            if self._progress is None and progress.total:
                self._stage = "starting encoders"
            self._progress, self._updated_at = progress, self.clock()
            line = self._line()
            if self.live:
                return
            if share - self._share >= LINE_SHARE or share == 1.0 or self.clock() - self._written_at >= LINE_EVERY:
                self._share = share
                self._write(line)
            else:
                self._unwritten = line

    def _enter_stage(self, stage: str) -> None:
        """Show what the run does now; a log gets it with its next line."""
        self._stage = stage

    def _tick(self) -> None:
        """Write a line into a log that got none for half a minute, and ask how many rows are at work."""
        while not self._over.wait(AT_WORK_EVERY):
            if (progress := self._progress) and (self.live or (self._is_due() and not progress.finished)):
                self._flying = self.at_work()
            with self._lock:
                if not self.live and not self._over.is_set() and self._is_due():
                    self._write(f"{self._line()}, {clock(self.clock() - self._began)} since the start")

    def _is_due(self) -> bool:
        """Return whether the last line of a log is half a minute old."""
        return self.clock() - self._written_at >= LINE_EVERY

    def _line(self) -> str:
        """Return how far the run is, in words."""
        progress = self._progress
        if progress is None:
            return f"{self._stage[0].upper()}{self._stage[1:]} …"
        if progress.total and not progress.finished:
            return f"{describe(progress)}: {f'{self._flying:,} at work' if self._flying else self._stage} …"
        return describe(progress, since=self.clock() - self._updated_at)

    def _shown(self) -> RenderableType:
        """Return what a terminal shows now."""
        elapsed = clock(self.clock() - self._began)
        progress, line = self._progress, self._line()
        if progress is None or not progress.finished:
            self._spinner.update(text=f"{line} {elapsed}")
            return self._spinner
        flying = f", {self._flying:,} at work" if self._flying else ""
        return _bar(progress.finished / progress.total, f"{line}{flying}, {elapsed} so far", self.console.width)

    def _write(self, line: str) -> None:
        """Write a line to the log, with the time in front."""
        self._unwritten, self._written_at = None, self.clock()
        self.console.print(
            f"{provenance.now():%Y-%m-%dT%H:%M:%SZ} {line}", markup=False, highlight=False, soft_wrap=True
        )


class _Stages(logging.Handler):
    """A log handler that passes on the messages about the stages of a run."""

    def __init__(self, enter: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self.enter = enter

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on the text of a record."""
        self.enter(record.getMessage())


def _bar(share: float, line: str, width: int) -> RenderableType:
    """Return a progress bar with a line of text behind it, or below it where both do not fit the width."""
    bar = Bar(BarColumn(bar_width=30), auto_refresh=False)
    bar.add_task("", total=1000, completed=round(1000 * share))
    if len(line) + 32 > width:
        return Group(bar, line)
    grid = Table.grid(padding=(0, 1))
    grid.add_row(bar, line)
    return grid


def describe(progress: Progress, since: float = 0.0) -> str:
    """Return the progress of a run as one line: `12 of 40 rows, 1 failed, 0.52 rows/s, 0:54 left`.

    Args:
        progress: of the run.
        since: seconds that have passed since the last row of it finished, which are no longer left.
    """
    words = [f"{progress.finished:,} of {counted(progress.total, 'row')}" if progress.total else "nothing left to do"]
    words += [
        f"{progress.counts[status]:,} {status}"
        for status in ("failed", "diverged", "quarantined")
        if progress.counts[status]
    ]
    if progress.warned:
        words.append(f"{progress.warned:,} with a warning")
    if progress.done_before:
        words.append(f"{progress.done_before:,} done before")
    if progress.failed_before:
        words.append(f"{progress.failed_before:,} failed before and unchanged")
    if progress.quarantined_before:
        words.append(f"{progress.quarantined_before:,} quarantined before")
    if progress.passed_over:
        words.append(f"{progress.passed_over.count} passed over")
    if (rate := progress.rate) is not None:
        words.append(speed(rate))
    if (left := progress.seconds_left) is not None:
        words.append(f"{clock(max(left - since, 0.0))} left")
    return ", ".join(words)


def speed(rate: float) -> str:
    """Return a number of rows per second with digits that matter: `2.31 rows/s`, `45.0 rows/h`."""
    return f"{rate:.2f} rows/s" if rate >= 0.1 else f"{rate * 3600:.3g} rows/h"


def clock(seconds: float) -> str:
    """Return a number of seconds as text: `0:54`, `12:03` or `3:04:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class IterationBar:
    """A progress bar over the iterations of one pair, with the loss; in a log a line every half minute."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock, self._written_at = console, clock, clock()
        self.progress = Bar(
            TextColumn("optimising"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task("", total=None, loss="")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.progress.stop()

    def update(self, done: int, total: int, loss: float | None = None) -> None:
        """Show iterations done, of how many, and the loss if it is known."""
        text = "" if loss is None or math.isnan(loss) else f"loss {loss:.4g}"
        self.progress.update(self.task, completed=done, total=total, loss=text)
        if not self.console.is_terminal and self.clock() - self._written_at >= LINE_EVERY:
            self._written_at = self.clock()
            words = ", ".join(filter(None, [f"{done:,} of {counted(total, 'iteration')}", text]))
            self.console.print(f"{provenance.now():%Y-%m-%dT%H:%M:%SZ} {words}", markup=False, highlight=False)
