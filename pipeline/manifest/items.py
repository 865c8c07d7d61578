"""What the files of manifests hold, whatever their format: headers, records, and what cannot be read."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.manifest.row import SHOWN, RowProblem
from pipeline.manifest.unnamed import Nameless

MAX_COLUMNS = 1000
"""Columns that a manifest may have; a table with more is something else."""


@dataclass(frozen=True, slots=True)
class Header:
    """Columns that appear for the first time, in the order of the file.

    Attributes:
        number: of their line; None: they are not in a line.
        names: of the columns.
        whole: whether no others can follow.
        is_repeated: whether a piece before has named them, and what is wrong with them.
    """

    number: int | None
    names: tuple[str, ...]
    whole: bool
    is_repeated: bool = False


class Record(NamedTuple):
    """A row: its place in the file, and its cells by column. Only cells of CSV were changed: they are stripped."""

    number: int
    cells: dict[str, Any]


class Once(NamedTuple):
    """A problem that is named once for a file, by the first record that has it.

    Attributes:
        problem: in words.
        key: equal for what is not named again.
        is_of_file: whether its number is that of a line of the file; else it is counted from the start of the piece.
    """

    problem: RowProblem
    key: tuple[str, ...]
    is_of_file: bool = False


class End(NamedTuple):
    """The end of a piece, behind its last record; where it is missing, nothing of the file is read any more.

    Attributes:
        began: offset, or number of the row group, of the first record that was read.
        place: of the first one behind the piece.
        records: lines or rows between them.
        names: columns of JSON Lines that have been seen up to there.
    """

    began: int
    place: int
    records: int
    names: frozenset[str] = frozenset()


Item = Header | Record | RowProblem | Once | End


def unnamed(nameless: Nameless, cells: Sequence[object]) -> Iterator[Once]:
    """Yield the problem of each column without a name that has something in this row for the first time."""
    return (Once(problem, ("column", problem.expected), is_of_file=True) for problem in nameless.problems(cells))


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
