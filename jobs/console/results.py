"""Print the summary of a run and its results on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobs.console.output import WIDE, near, printable
from jobs.console.progress import clock
from jobs.console.result_table import chosen, most_useful, troubles
from jobs.console.values import jsonable
from pipeline.outputs import Progress as RunProgress
from pipeline.outputs import layout
from pipeline.words import counted

SHOWN = 20
"""Rows that failed, or are to be looked at, that the summary of a run lists."""


def print_summary(console: Console, progress: RunProgress, output: str) -> None:
    """Print how many rows a run finished, which failed, and where its results are."""
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(progress.counts.items()) if count)
    were = "was" if progress.done_before == 1 else "were"
    before = f"; {progress.done_before:,} {were} done before" if progress.done_before else ""
    took = f" Took {clock(progress.seconds)}." if progress.seconds else ""
    console.print(f"[bold]{counts or 'Nothing to do'}[/bold]{before}.{took}", highlight=False)
    where = escape(near(output))
    if progress.failures:
        _print_reasons(console, "row not done", progress.failures, progress.names)
        if (more := progress.counts["failed"] + progress.counts["quarantined"] - SHOWN) > 0:
            console.print(f"… and {more:,} more: nst results {where} --status failed, or quarantined")
        for line in _next(progress, where):
            console.print(line, highlight=False, soft_wrap=True)
    if progress.warnings:
        _print_reasons(console, "row to look at", progress.warnings, progress.names)
        if (more := progress.warned - SHOWN) > 0:
            console.print(f"… and {more:,} more: nst results {where} --columns id,warning")
    if progress.failed_before:
        have = "has" if progress.failed_before == 1 else "have"
        console.print(
            f"{counted(progress.failed_before, 'row')} failed before and {have} not changed: "
            f"nst retry {where} --failed tries them again"
        )
    if progress.quarantined_before:
        were = "was" if progress.quarantined_before == 1 else "were"
        console.print(
            f"{counted(progress.quarantined_before, 'row')} {were} quarantined before and left alone: "
            f"nst retry {where} --quarantined"
        )
    if progress.passed_over:
        console.print(f"Passed over: {escape(str(progress.passed_over))}", highlight=False, soft_wrap=True)
    console.print(f"Pictures: {escape(near(layout.images_folder(output)))}", highlight=False, soft_wrap=True)
    console.print(f"Results:  {escape(near(layout.results_folder(output)))}", highlight=False, soft_wrap=True)


def _next(progress: RunProgress, where: str) -> Iterator[str]:
    """Yield what becomes of the rows that a run has not done, a line for each kind.

    Args:
        progress: of the run.
        where: its output, as a command has it.
    """
    if (again := progress.counts["failed"] - progress.left_alone) > 0:
        which = f"{counted(again, 'failed row')} again" if progress.left_alone else "failed rows again"
        yield f"The same command tries {which} and repeats nothing that is done."
    if progress.left_alone:
        yield (
            f"{counted(progress.left_alone, 'row')} with a picture that cannot be read: tried again once the picture "
            f"has changed, or by nst retry {where} --failed"
        )
    if progress.counts["quarantined"]:
        yield f"Quarantined rows are left alone from now on: nst retry {where} --quarantined tries them again"


def _print_reasons(console: Console, title: str, reasons: Sequence[tuple[str, str]], names: Mapping[str, str]) -> None:
    """Print the first rows with a reason each, by the names that people gave."""
    table = Table(title, "why", title_justify="left", show_edge=False)
    for row_id, reason in reasons[:SHOWN]:
        table.add_row(escape(printable(names.get(row_id, row_id))), escape(printable(reason)))
    console.print(table)


def print_results(
    console: Console, table: pa.Table, *, useful: bool = False, as_json: bool = False, whole: bool = False
) -> None:
    """Print results as a table, or as one JSON object a line.

    Args:
        console: where to print.
        table: of results, with the wanted columns.
        useful: whether nobody has chosen columns, and the table has `result_table.RESULT_SOURCES` to make others of.
        as_json: JSON in place of a table.
        whole: no cell is cut or folded, however wide the table gets.
    """
    rows = table.to_pylist()
    if as_json:
        for row in rows:
            console.out(json.dumps(jsonable(row), default=str, allow_nan=False), highlight=False)
        return
    columns, cells = most_useful(rows, whole=whole) if useful else chosen(rows, table.column_names, whole=whole)
    shown = Table(*columns, show_edge=False)
    for line in cells:
        shown.add_row(*(escape(printable(cell)) for cell in line))
    usual = console.width
    console.width = WIDE if whole else usual
    console.print(shown, soft_wrap=whole)
    for names, text in troubles(rows, whole=whole) if useful else ():
        console.print(f"{escape(printable(names))}: {escape(printable(text))}", highlight=False, soft_wrap=True)
    console.width = usual
    console.print(counted(len(rows), "row"), highlight=False)
