"""Print the estimate of a run on a terminal: buckets, work, time and cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from jobs.console.output import print_note, printable
from jobs.console.progress import clock
from jobs.console.values import as_text, jsonable

if TYPE_CHECKING:
    from pipeline.flow import Bucket, Estimate, Rate


BUCKETS_SHOWN = FAILURES_SHOWN = 20

SAVED = {"nothing": "", "checkpoint": ", computed twice", "tiles": ", in tiles"}
"""What is said of a bucket by how it saves memory."""


def print_estimate(console: Console, estimate: Estimate, *, price: float | None = None, as_json: bool = False) -> None:
    """Print what a run would do and take, as tables or as one JSON object.

    Args:
        console: where to print.
        estimate: of the run.
        price: dollars per device hour; None: no cost is printed.
        as_json: one JSON object in place of tables.
    """
    dollars = None if price is None else estimate.dollars(price)
    if as_json:
        console.out(json.dumps(jsonable(estimate.to_json() | {"dollars": dollars})), highlight=False)
        return
    if estimate.buckets:
        console.print(_buckets(estimate.buckets[:BUCKETS_SHOWN], estimate.rate))
    if (more := len(estimate.buckets) - BUCKETS_SHOWN) > 0:
        console.print(f"… and {more:,} more with less work each: --json has them all")
    if estimate.failures:
        _print_failures(console, estimate)
    totals = _totals(estimate)
    if dollars is not None:
        totals.add_row("cost", f"${dollars:,.2f} at ${price:,.2f} for each device hour")
    console.print(totals, highlight=False)
    for remark in estimate.remarks:
        print_note(console, remark)


def _print_failures(console: Console, estimate: Estimate) -> None:
    """Print the first rows that fail at planning, and how many more there are."""
    table = Table("fails at planning", "why", show_edge=False)
    for name, why in estimate.why_first(FAILURES_SHOWN):
        table.add_row(escape(printable(name)), escape(printable(why)))
    console.print(table)
    if (more := len(estimate.failures) - FAILURES_SHOWN) > 0:
        console.print(f"… and {more:,} more: --json has them all")


def _totals(estimate: Estimate) -> Table:
    """Return a grid of the run's rows, actors, work, rate and time."""
    has = f" with {_bytes(estimate.memory)} each" if estimate.memory else ", whose memory is not known"
    grid = Table.grid(padding=(0, 2))
    grid.add_row("rows", estimate.in_words)
    if estimate.passed_over:
        grid.add_row("passed over", escape(str(estimate.passed_over)))
    grid.add_row("actors", f"{estimate.actors:,} on {estimate.device}{has}")
    grid.add_row(
        "work", f"{estimate.evaluations:,} loss evaluations, {estimate.multiply_adds:.3g} multiply-adds, at most"
    )
    if estimate.device_seconds:
        each = f"{estimate.rate.multiply_adds:.3g} multiply-adds/s for each actor ({estimate.rate.source})"
        grid.add_row("rate", each)
        busy = clock(estimate.device_seconds)
        grid.add_row("time", f"{clock(estimate.seconds)}, {busy} of device time; another device differs: --rate")
    return grid


def _buckets(buckets: Sequence[Bucket], rate: Rate) -> Table:
    """Return a table with a line for each bucket."""
    right = [Column(name, justify="right") for name in ("rows", "styles", "batches", "of up to", "memory", "time")]
    table = Table(Column("size", no_wrap=True), Column("settings", overflow="fold"), *right, show_edge=False)
    for bucket in buckets:
        height, width = bucket.shape
        table.add_row(
            f"{width} x {height}",
            " ".join(f"{name}={as_text(value)}" for name, value in bucket.settings.items()),
            *(f"{count:,}" for count in (bucket.rows, bucket.styles, bucket.batches, bucket.rows_per_batch)),
            _bytes(bucket.memory) + SAVED[bucket.saving],
            clock(rate.seconds(bucket.multiply_adds)),
        )
    return table


def _bytes(count: float) -> str:
    """Return a number of bytes in MB or GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
