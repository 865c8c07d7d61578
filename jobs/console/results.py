"""Print the summary of a run and its results on a terminal."""

from __future__ import annotations

import json

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from jobs.console.output import printable
from jobs.console.progress import clock
from jobs.console.values import jsonable
from pipeline.manifest import PICTURE_COLUMNS, SEVERAL, each_of
from pipeline.outputs import Progress as RunProgress
from pipeline.outputs import layout


def print_summary(console: Console, progress: RunProgress, output: str) -> None:
    """Print how many rows a run finished, which failed, and where its results are."""
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(progress.counts.items()) if count)
    before = f"; {progress.done_before:,} were done before" if progress.done_before else ""
    took = f" Took {clock(progress.seconds)}." if progress.seconds else ""
    console.print(f"[bold]{counts or 'Nothing to do'}[/bold]{before}.{took}", highlight=False)
    if progress.failures:
        table = Table("row not done", "why", title_justify="left", show_edge=False)
        for row_id, error in progress.failures[:20]:
            table.add_row(escape(printable(row_id)), escape(printable(error)))
        console.print(table)
        if (more := progress.counts["failed"] + progress.counts["quarantined"] - 20) > 0:
            console.print(f"… and {more:,} more: nst results {escape(output)} --status failed, or quarantined")
        console.print("The same command tries failed rows again and repeats nothing that is done.")
    _print_warnings(console, progress, output)
    if progress.quarantined_before:
        console.print(
            f"{progress.quarantined_before:,} rows were quarantined before and are left alone: "
            f"nst retry {escape(output)} --quarantined"
        )
    if progress.passed_over:
        console.print(f"Passed over: {escape(str(progress.passed_over))}", highlight=False, soft_wrap=True)
    console.print(f"Pictures: {escape(layout.images_folder(output))}", highlight=False, soft_wrap=True)
    console.print(f"Results:  {escape(layout.results_folder(output))}", highlight=False, soft_wrap=True)


def _print_warnings(console: Console, progress: RunProgress, output: str) -> None:
    """Print which pictures of a run are doubtful, the first twenty, and why."""
    if not progress.warnings:
        return
    table = Table("row to look at", "why", title_justify="left", show_edge=False)
    for row_id, warning in progress.warnings[:20]:
        table.add_row(escape(printable(row_id)), escape(printable(warning)))
    console.print(table)
    if (more := progress.warned - 20) > 0:
        console.print(f"… and {more:,} more: nst results {escape(output)} --columns id,warning")


def print_results(console: Console, table: pa.Table, *, as_json: bool = False) -> None:
    """Print results as a table, or as one JSON object a line."""
    rows = table.to_pylist()
    if as_json:
        for row in rows:
            console.out(json.dumps(jsonable(row), default=str, allow_nan=False), highlight=False)
        return
    columns = (Column(name, no_wrap=name == "id", overflow="fold") for name in table.column_names)
    shown = Table(*columns, show_edge=False)
    for row in rows:
        shown.add_row(*(escape(printable(_cell(name, value))) for name, value in row.items()))
    console.print(shown)
    console.print(f"{len(rows):,} rows", highlight=False)


def _cell(column: str, value: object) -> str:
    """Return a value of a column as the text of a table's cell."""
    if value is None:
        return ""
    if column in (*PICTURE_COLUMNS, "output"):
        return SEVERAL.join("/".join(uri.split("/")[-2:]) for uri in each_of(column, str(value)))  # whole in --json
    return f"{value:.4g}" if isinstance(value, float) else str(value)
