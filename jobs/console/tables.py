"""What a person sees on a terminal; plain lines where there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table

from jobs.console.output import counted
from jobs.console.progress import LiveProgress as LiveProgress
from jobs.console.progress import clock
from nst_kernel import PARAMETERS, PRESETS, StyleParams
from pipeline.manifest import PICTURE_COLUMNS
from pipeline.outputs import Progress as RunProgress
from pipeline.outputs import layout

if TYPE_CHECKING:  # torch and Ray come along, for which a look at results need not wait
    from nst_kernel.encoder import Check
    from pipeline.flow import Bucket, Estimate, Rate


def print_summary(console: Console, progress: RunProgress, output: str) -> None:
    """What a run came to, and where its results are."""
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(progress.counts.items()) if count)
    before = f"; {progress.done_before:,} were done before" if progress.done_before else ""
    took = f" Took {clock(progress.seconds)}." if progress.seconds else ""
    console.print(f"[bold]{counts or 'Nothing to do'}[/bold]{before}.{took}", highlight=False)
    if progress.failures:
        table = Table("row not done", "why", title_justify="left", show_edge=False)
        for row_id, error in progress.failures[:20]:
            table.add_row(escape(row_id), escape(error))
        console.print(table)
        if (more := progress.counts["failed"] + progress.counts["quarantined"] - 20) > 0:
            console.print(f"… and {more:,} more: nst results {escape(output)} --status failed, or quarantined")
        console.print("The same command tries failed rows again and repeats nothing that is done.")
    if progress.quarantined_before:
        console.print(
            f"{progress.quarantined_before:,} rows were quarantined before and are left alone: "
            f"nst retry {escape(output)} --quarantined"
        )
    console.print(f"Pictures: {escape(layout.images_folder(output))}", highlight=False, soft_wrap=True)
    console.print(f"Results:  {escape(layout.results_folder(output))}", highlight=False, soft_wrap=True)


BUCKETS_SHOWN = FAILURES_SHOWN = 20


def print_estimate(console: Console, estimate: Estimate, *, price: float | None = None, as_json: bool = False) -> None:
    """What a run would come to, as tables or as one JSON object; with its cost at dollars per device hour."""
    dollars = None if price is None else estimate.dollars(price)
    if as_json:
        console.out(json.dumps(_jsonable(estimate.to_json() | {"dollars": dollars})), highlight=False)
        return
    if estimate.buckets:
        console.print(_buckets(estimate.buckets[:BUCKETS_SHOWN], estimate.rate))
    if (more := len(estimate.buckets) - BUCKETS_SHOWN) > 0:
        console.print(f"… and {more:,} more with less work each: --json has them all")
    if estimate.failures:
        table = Table("fails at planning", "why", show_edge=False)
        for row_id, failure in estimate.failures[:FAILURES_SHOWN]:
            table.add_row(escape(row_id), escape(failure.error))
        console.print(table)
        if (more := len(estimate.failures) - FAILURES_SHOWN) > 0:
            console.print(f"… and {more:,} more: --json has them all")
    batches, buckets = counted(estimate.batches, "batch"), counted(len(estimate.buckets), "bucket")
    words = [f"{counted(estimate.rows, 'row')} to do in {batches} of {buckets}"]
    words += [f"{estimate.done:,} done before"] if estimate.done else []
    words += [f"{estimate.duplicates:,} repeat others"] if estimate.duplicates else []
    words += [f"{len(estimate.failures):,} fail at planning"] if estimate.failures else []
    has = f" with {_bytes(estimate.memory)} each" if estimate.memory else ", whose memory is not known"
    grid = Table.grid(padding=(0, 2))
    grid.add_row("rows", ", ".join(words))
    grid.add_row("actors", f"{estimate.actors:,} on {estimate.device}{has}")
    grid.add_row(
        "work", f"{estimate.evaluations:,} loss evaluations, {estimate.multiply_adds:.3g} multiply-adds, at most"
    )
    if estimate.device_seconds:
        each = f"{estimate.rate.multiply_adds:.3g} multiply-adds/s for each actor ({estimate.rate.source})"
        grid.add_row("rate", each)
        busy = clock(estimate.device_seconds)
        grid.add_row("time", f"{clock(estimate.seconds)}, {busy} of device time; another device differs: --rate")
    if dollars is not None:
        grid.add_row("cost", f"${dollars:,.2f} at ${price:,.2f} for each device hour")
    console.print(grid, highlight=False)


def _buckets(buckets: Sequence[Bucket], rate: Rate) -> Table:
    right = [Column(name, justify="right") for name in ("rows", "styles", "batches", "of up to", "memory", "time")]
    table = Table(Column("size", no_wrap=True), Column("settings", overflow="fold"), *right, show_edge=False)
    for bucket in buckets:
        height, width = bucket.shape
        table.add_row(
            f"{width} x {height}",
            " ".join(f"{name}={_setting(value)}" for name, value in bucket.settings.items()),
            *(f"{count:,}" for count in (bucket.rows, bucket.styles, bucket.batches, bucket.rows_per_batch)),
            _bytes(bucket.memory) + (", computed twice" if bucket.checkpoint else ""),
            clock(rate.seconds(bucket.multiply_adds)),
        )
    return table


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


class IterationBar:
    """A bar over the iterations of one pair."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
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


def print_results(console: Console, table: pa.Table, *, as_json: bool = False) -> None:
    """A table of results, or one JSON object a line."""
    rows = table.to_pylist()
    if as_json:
        for row in rows:
            console.out(json.dumps(_jsonable(row), default=str, allow_nan=False), highlight=False)
        return
    columns = (Column(name, no_wrap=name == "id", overflow="fold") for name in table.column_names)
    shown = Table(*columns, show_edge=False)
    for row in rows:
        shown.add_row(*(escape(_cell(name, value)) for name, value in row.items()))
    console.print(shown)
    console.print(f"{len(rows):,} rows", highlight=False)


def _jsonable(value: object) -> object:
    """The same without NaN and infinities, which JSON has not."""
    if isinstance(value, dict):
        return {key: _jsonable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(column: str, value: object) -> str:
    if value is None:
        return ""
    if column in (*PICTURE_COLUMNS, "output"):
        return "/".join(str(value).split("/")[-2:])  # whole in --json
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_params(console: Console) -> None:
    """Every style parameter, and the presets."""
    defaults = StyleParams.of({}).to_json()
    table = Table("parameter", Column("default", overflow="fold"), "meaning", show_edge=False)
    for name, meaning in PARAMETERS.items():
        value = defaults[name]
        text = ",".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
        table.add_row(name, text, meaning)
    console.print(table)
    presets = Table("preset", Column("changes", overflow="fold"), "source", show_edge=False)
    for name, preset in PRESETS.items():
        changes = ", ".join(f"{parameter}={_setting(value)}" for parameter, value in preset.values.items())
        presets.add_row(name, changes, preset.source)
    console.print()
    console.print(presets)


def _setting(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    """What was looked at in a weights file."""
    table = Table("check", "expected", "found", "", show_edge=False)
    for check in checks:
        table.add_row(
            check.what, check.expected, check.actual, "[green]ok[/green]" if check.ok else "[red]differs[/red]"
        )
    console.print(table)
    intact = all(check.ok for check in checks)
    console.print("These are torchvision's ImageNet weights, intact." if intact else "These are not them, or damaged.")
