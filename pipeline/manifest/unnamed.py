"""Columns that a program wrote by itself: the index of a frame, and those without a name."""

import json
import re
from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa

from pipeline.manifest.row import RowProblem, shown

_INDEX = re.compile(r"__index_level_\d+__|__null_dask_index__")

_NAMELESS = re.compile(r"(Unnamed: \d+)?")
"""The name of a column that has none; pandas numbers those that it reads."""


def is_index(name: str) -> bool:
    """Return whether pandas or dask gives this name to an index that has none."""
    return _INDEX.fullmatch(name) is not None


def index_columns(schema: pa.Schema) -> set[str]:
    """Return the columns of a Parquet file that are the index of a frame, as the notes of pandas in it say."""
    try:
        notes = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    except (ValueError, AttributeError):
        notes = []
    named = {name for name in notes if isinstance(name, str)} if isinstance(notes, list) else set()
    return named | set(filter(is_index, schema.names))


class Nameless:
    """The columns of a table that have no name, which is a problem only once there is something in one.

    Spreadsheets write empty ones where a sheet was wider once. The first one may also count the rows, as the index of
    a frame does.
    """

    def __init__(self, file: str, number: int | None, names: Sequence[str]) -> None:
        """Find them.

        Args:
            file: that the table is in.
            number: the line of its header, as in a `RowProblem`.
            names: of all its columns.
        """
        self.file, self.number = file, number
        self.places = [place for place, name in enumerate(names) if _NAMELESS.fullmatch(name)]

    def problems(self, cells: Sequence[object]) -> Iterator[RowProblem]:
        """Yield a problem for each column that has something in this row, and pass over it from then on.

        Args:
            cells: of the row, in the order of the columns.
        """
        for place in list(self.places):
            value = cells[place]
            if _is_blank(value) or (place == 0 and _is_count(value)):
                continue
            self.places.remove(place)
            expected = f"a name for column {place + 1} in the header (from pandas: to_csv(..., index=False))"
            yield RowProblem(self.file, self.number, None, shown(value), expected)

    def among(self, names: Sequence[str]) -> Collection[str]:
        """Return the names that stand in the places of these columns."""
        return {names[place] for place in self.places}


def _is_blank(value: object) -> bool:
    """Return whether a cell is empty."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _is_count(value: object) -> bool:
    """Return whether a cell is a whole number, as in an index that counts."""
    if isinstance(value, str):
        return value.strip().isdecimal()
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
