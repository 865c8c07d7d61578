"""What the files of manifests hold, whatever their format: headers, records, and what cannot be read."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.manifest.row import SHOWN, RowProblem
from pipeline.manifest.unnamed import Nameless

MAX_COLUMNS = 1000
"""Columns that a manifest may have; a table with more is something else."""


@dataclass(frozen=True, slots=True)
class Header:
    """Columns that appear for the first time, in the order of the file; `whole` if no others can follow."""

    number: int | None
    names: tuple[str, ...]
    whole: bool


class Record(NamedTuple):
    """A row: its place in the file, and its cells by column. Only cells of CSV were changed: they are stripped."""

    number: int
    cells: dict[str, Any]


Item = Header | Record | RowProblem


def plain(value: Any) -> Any:
    """Return a cell of a frame or a mapping as a file has it: None for NaN, text for a path, all else as it is."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    return None if isinstance(value, float) and value != value else value


def header(file: str, number: int | None, names: list[str]) -> Iterator[Item]:
    """Yield the header of a whole table after what is wrong with its names."""
    if len(names) > MAX_COLUMNS:
        yield too_many(file, number, len(names))
        return
    unnamed = Nameless(file, number, names).among(names)
    for name in sorted({name for name in names if name not in unnamed and names.count(name) > 1}):
        yield RowProblem(file, number, name[:SHOWN], "", "a column of this name once in the header")
    yield Header(number, tuple(name for name in names if name not in unnamed), whole=True)


def too_many(file: str, number: int | None, count: int) -> RowProblem:
    """Return the problem of a table with too many columns."""
    return RowProblem(file, number, None, "", f"at most {MAX_COLUMNS} columns, not {count:,}")
