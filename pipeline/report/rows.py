"""The rows of the results as data of the page: columns, with numbers in the place of values that repeat."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.manifest import PICTURE_COLUMNS, place
from pipeline.outputs import REQUEST_COLUMNS, STATUSES, as_manifest
from pipeline.report.curves import number
from pipeline.report.dimensions import Dimension
from pipeline.report.figures import Reason, reason
from pipeline.report.pictures import Pictures
from pipeline.report.scripts import chunks

ROWS_PER_FILE, ERRORS_PER_FILE, LINES_PER_FILE = 2000, 200, 500

MAX_ERROR = 2000
"""Characters of an error on the page; the results have it whole."""

COLUMNS = (
    "id",
    "status",
    "total_loss",
    "content_loss",
    "style_loss",
    "iterations",
    "width",
    "height",
    "seconds",
    "finished_at",
    "error_class",
    "error",
    "warning",
)


_ORIGIN = ("error", "manifest", "manifest_row")
"""Columns that tell what became of a row that failed, and where it was requested."""


def row_files(
    table: pa.Table,
    *,
    numbers: Mapping[str, Sequence[int]],
    pictures: Pictures,
    dimensions: Sequence[Dimension],
    reasons: Sequence[Reason],
    warnings: Sequence[str],
) -> Iterator[Mapping[str, Any]]:
    """Yield the data of every row, column by column, `ROWS_PER_FILE` rows at a time.

    Args:
        table: results with `COLUMNS`, in the order of the page.
        numbers: by role, of the pictures that each row reads.
        pictures: of the rows.
        dimensions: in which rows differ.
        reasons: why rows have no good picture.
        warnings: what is doubtful about pictures.
    """
    warning_numbers = {text: k for k, text in enumerate(warnings)}
    reason_numbers = {known.name: k for k, known in enumerate(reasons)}
    statuses = {status: k for k, status in enumerate(STATUSES)}
    for start in range(0, len(table), ROWS_PER_FILE):
        part = slice(start, start + ROWS_PER_FILE)
        columns = {name: table[name].slice(start, ROWS_PER_FILE).to_pylist() for name in COLUMNS}
        outcome = list(zip(columns["status"], columns["error_class"], columns["error"], strict=True))
        yield {
            "id": columns["id"],
            "status": [statuses[status] for status in columns["status"]],
            **{role: list(of_rows[part]) for role, of_rows in numbers.items()},
            "loss": [number(value) for value in columns["total_loss"]],
            "content_loss": [number(value) for value in columns["content_loss"]],
            "style_loss": [number(value) for value in columns["style_loss"]],
            "iterations": columns["iterations"],
            "width": columns["width"],
            "height": columns["height"],
            "seconds": [number(value["optimise"]) if value else None for value in columns["seconds"]],
            "finished": [None if at is None else round(at.timestamp()) for at in columns["finished_at"]],
            "reason": [reason_numbers[reason(*one)] if one[0] != "ok" else -1 for one in outcome],
            "warning": [warning_numbers.get(text, -1) for text in columns["warning"]],
            "thumb": pictures.thumbs[part],
            "view": pictures.views[part],
            "href": pictures.hrefs[part],
            "steps": pictures.steps[part],
            "dimensions": [list(dimension.codes[part]) for dimension in dimensions],
        }


def source_files(sources: Pictures, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the data of the pictures that rows read, `ROWS_PER_FILE` at a time.

    Args:
        sources: the pictures.
        names: of the pictures, in their order.
    """
    for start in range(0, len(names), ROWS_PER_FILE):
        part = slice(start, start + ROWS_PER_FILE)
        columns: Mapping[str, Sequence[str | None]]
        columns = {"uri": sources.uris, "href": sources.hrefs, "thumb": sources.thumbs, "view": sources.views}
        yield {
            "name": names[part],
            **{name: values[part] for name, values in columns.items()},
            "parts": sources.parts[part],
        }


def error_files(failed: pa.Table) -> Iterator[Mapping[str, Any]]:
    """Yield the errors of rows that are not ok and their places in a manifest, `ERRORS_PER_FILE` at a time."""
    for rows in chunks(failed.select([*PICTURE_COLUMNS, *_ORIGIN]).to_pylist(), ERRORS_PER_FILE):
        yield {
            "error": [bounded(row["error"] or "") for row in rows],
            "place": [origin(row) for row in rows],
        }


def origin(row: Mapping[str, Any]) -> str:
    """Return where a row comes from: its line of a manifest; of an archive, which has none, its photo."""
    if row["manifest"] and row["manifest_row"]:
        return place(row["manifest"], row["manifest_row"])
    return str(next((row[role] for role in PICTURE_COLUMNS if row[role]), row["manifest"] or ""))


def line_files(failed: pa.Table) -> Iterator[Sequence[str]]:
    """Yield rows that are not ok as lines of a manifest that requests them again, `LINES_PER_FILE` at a time."""
    for start in range(0, len(failed), LINES_PER_FILE):
        yield as_manifest(failed.slice(start, LINES_PER_FILE).select(REQUEST_COLUMNS)).splitlines()


def bounded(error: str) -> str:
    """Return an error, cut to `MAX_ERROR` characters."""
    return error if len(error) <= MAX_ERROR else f"{error[:MAX_ERROR]}… ({len(error):,} characters in all)"
