"""The rows of the results as data of the page: columns, with numbers in the place of values that repeat."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.manifest import PICTURE_COLUMNS, ROLES, place
from pipeline.outputs import REQUEST_COLUMNS, STATUSES, as_manifest
from pipeline.report import links
from pipeline.report.columns import PageRows
from pipeline.report.curves import number
from pipeline.report.dimensions import Dimension
from pipeline.report.pictures import Sources, picture
from pipeline.report.thumbs import Copies

PER_FILE, PER_FILE_OF_MANY = 2000, 500
"""Rows or pictures of a file: of those that the page begins with, and where it asks for single ones."""

ERRORS_PER_FILE, LINES_PER_FILE = 200, 500

COLUMNS = (
    *("id", "status", "total_loss", "content_loss", "style_loss", "iterations", "width", "height", "optimise"),
    *("finished_at", "reason", "warning", "picture", "thumb", "view", "steps", *ROLES),
)
"""Columns that the data of rows are made of."""

FOUND_PER_FILE = 20_000
"""Rows of a file in which the page looks for rows, and names of pictures of one."""

FEW_VALUES = 1000
"""Values of a dimension that the page knows from its beginning, where it does not begin with all rows."""


@dataclass(frozen=True)
class Data:
    """What the data of the page's rows are made of.

    Attributes:
        rows: of the page.
        sources: the pictures that they read.
        copies: small copies of their own pictures.
        dimensions: in which they differ.
        warnings: what is doubtful about pictures.
        begins: rows that the page begins with.
        page: its folder.
        output: of the run.
    """

    rows: PageRows
    sources: Sources
    copies: Copies
    dimensions: Sequence[Dimension]
    warnings: Sequence[str]
    begins: int
    page: str
    output: str

    @property
    def per_file(self) -> int:
        """Rows or pictures of a file."""
        return PER_FILE if self.begins == len(self.rows) else PER_FILE_OF_MANY

    def known(self, dimension: Dimension) -> bool:
        """Return whether the page knows all values of a dimension from its beginning."""
        return self.begins == len(self.rows) or len(dimension.values) <= FEW_VALUES


def row_files(data: Data) -> Iterator[Mapping[str, Any]]:
    """Yield the data of every row, column by column, `per_file` rows at a time."""
    failure = _failures(data.rows)
    for start in range(0, len(data.rows), data.per_file):
        part = slice(start, start + data.per_file)
        columns = {name: column[part] for name, column in data.rows.columns.items()}
        pictures = columns["picture"].to_pylist()
        uris = [None if name is None else picture(data.output, name) for name in pictures]
        yield {
            **_searched(data, part),
            **{role: of_rows[part].tolist() for role, of_rows in data.sources.numbers.items()},
            "content_loss": _numbers(columns["content_loss"]),
            "style_loss": _numbers(columns["style_loss"]),
            **{name: columns[name].to_pylist() for name in ("iterations", "width", "height")},
            "failure": failure[part].tolist(),
            "thumb": _texts(data.copies.thumbs[part]),
            "view": _texts(data.copies.views[part]),
            "href": [links.href(uri, page=data.page, output=data.output) for uri in uris],
            "steps": [None if text is None else json.loads(text) for text in columns["steps"].to_pylist()],
        }


def search_files(data: Data) -> Iterator[Mapping[str, Any]]:
    """Yield what the page looks for rows by, `FOUND_PER_FILE` rows at a time; nothing where it begins with all."""
    if data.begins == len(data.rows):
        return
    for start in range(0, len(data.rows), FOUND_PER_FILE):
        yield _searched(data, slice(start, start + FOUND_PER_FILE))


def _searched(data: Data, part: slice) -> dict[str, Any]:
    """Return what rows are found and ordered by."""
    columns = {name: column[part] for name, column in data.rows.columns.items()}
    finished = pc.divide(pc.add(columns["finished_at"].cast(pa.int64()), 500_000), 1_000_000)
    return {
        "id": columns["id"].to_pylist(),
        "status": _indices(columns["status"], STATUSES),
        "content": data.sources.numbers["content"][part].tolist(),
        "style": data.sources.numbers["style"][part].tolist(),
        "loss": _numbers(columns["total_loss"]),
        "seconds": _numbers(columns["optimise"]),
        "finished": finished.to_pylist(),
        "reason": columns["reason"].to_pylist(),
        "warning": _indices(columns["warning"], data.warnings),
        "dimensions": [dimension.codes[part].tolist() for dimension in data.dimensions],
        "values": {
            k: _values(dimension, part) for k, dimension in enumerate(data.dimensions) if not data.known(dimension)
        },
    }


def _values(dimension: Dimension, part: slice) -> list[Any]:
    """Return the value of a dimension that each row has."""
    codes = pa.array(dimension.codes[part], mask=dimension.codes[part] < 0)
    return list(dimension.values.take(codes).to_pylist())


def _indices(column: pa.Array, texts: Sequence[str]) -> list[int]:
    """Return the number of each text of a column in a list; -1 for null."""
    indices = pc.index_in(column.cast(pa.string()), pa.array(texts, pa.string()))
    return list(pc.fill_null(indices, -1).to_pylist())


def _numbers(column: pa.Array) -> list[float | None]:
    """Return a column of numbers with six digits."""
    return [number(value) for value in column.to_pylist()]


def _texts(names: NDArray[np.bytes_]) -> list[str | None]:
    """Return names of copies as texts; None where there is none."""
    return [name.decode() or None for name in names.tolist()]


def _failures(rows: PageRows) -> NDArray[np.int32]:
    """Return for each row its place among the rows whose errors the page has; -1 for all others."""
    places: NDArray[np.int32] = pc.fill_null(pc.index_in(rows["id"], rows.failed["id"]), -1).to_numpy()
    return places


def source_files(data: Data) -> Iterator[Mapping[str, Any]]:
    """Yield the data of the pictures that rows read, `per_file` at a time."""
    sources, names = data.sources, data.sources.names
    for start in range(0, len(names), data.per_file):
        part = slice(start, start + data.per_file)
        uris = sources.uris[part].to_pylist()
        numbers = range(start, start + len(uris))
        yield {
            "name": names[part].to_pylist(),
            "uri": uris,
            "href": [
                None if k in sources.parts else links.href(uri, page=data.page, output=data.output)
                for k, uri in zip(numbers, uris, strict=True)
            ],
            "thumb": _texts(sources.copies.thumbs[part]),
            "view": _texts(sources.copies.views[part]),
            "parts": [list(sources.parts.get(k, ())) for k in numbers],
        }


def name_files(data: Data) -> Iterator[Mapping[str, Any]]:
    """Yield names of pictures by which the page finds rows; nothing where it begins with all rows."""
    if data.begins == len(data.rows):
        return
    names = data.sources.names
    for start in range(0, len(names), FOUND_PER_FILE):
        yield {"name": names[start : start + FOUND_PER_FILE].to_pylist()}


def error_files(failed: pa.Table) -> Iterator[Mapping[str, Any]]:
    """Yield the errors of rows that are not ok and their places in a manifest, `ERRORS_PER_FILE` at a time."""
    for start in range(0, len(failed), ERRORS_PER_FILE):
        rows = failed.slice(start, ERRORS_PER_FILE).to_pylist()
        yield {"error": [row["error"] for row in rows], "place": [origin(row) for row in rows]}


def origin(row: Mapping[str, Any]) -> str:
    """Return where a row comes from: its line of a manifest; of an archive, which has none, its photo."""
    if row["manifest"] and row["manifest_row"]:
        return place(row["manifest"], row["manifest_row"])
    return str(next((row[role] for role in PICTURE_COLUMNS if row[role]), row["manifest"] or ""))


def line_files(failed: pa.Table) -> Iterator[Sequence[str]]:
    """Yield rows that are not ok as lines of a manifest that requests them again, `LINES_PER_FILE` at a time."""
    for start in range(0, len(failed), LINES_PER_FILE):
        yield as_manifest(failed.slice(start, LINES_PER_FILE).select(REQUEST_COLUMNS)).splitlines()
