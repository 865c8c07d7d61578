"""Rows that repeat an earlier one, or ask for its id or the name of its picture: found by columns."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.manifest.names import id_within
from pipeline.manifest.row import Duplicate, Row, RowProblem, place, shown
from pipeline.manifest.rows import Rows

_AT_ONCE = 65_536
"""Texts that are objects of Python at a time."""


def repeated(rows: Rows) -> dict[int, RowProblem | Duplicate]:
    """Return a `Duplicate` or a problem for each row that repeats or contradicts an earlier one, by place, in order.

    The first row of an id has it, and of those the first with the name of a picture has that, whatever else is wrong
    with it.
    """
    instead: dict[int, RowProblem | Duplicate] = {}
    firsts = _firsts(rows.column("id"))
    is_first = firsts == np.arange(len(rows))
    for number in np.flatnonzero(~is_first).tolist():
        instead[number] = _of_an_id(rows, int(firsts[number]), number)
    named = np.flatnonzero(is_first)
    firsts = _firsts((rows if is_first.all() else rows.at(named)).column("output"))
    if (firsts == np.arange(len(firsts))).all():
        return instead
    # Of those that share the name of a picture, each is looked at in turn.
    shared = np.bincount(firsts, minlength=len(firsts))[firsts] > 1
    instead |= _of_a_picture(rows, named[shared].tolist())
    return dict(sorted(instead.items()))


def _firsts(texts: pa.Array) -> NDArray[np.int64]:
    """Return the place of the first text that is equal to each."""
    firsts = np.arange(len(texts))
    # Where numbers that follow from texts differ, these do: of millions of texts few are compared themselves.
    numbers = _hashes(texts)
    ordered = np.sort(numbers)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return firsts
    places = np.flatnonzero(np.isin(numbers, twice))
    # Numbers in the order in which texts first occur.
    which = texts.take(pa.array(places)).dictionary_encode().indices.to_numpy()
    ahead = np.maximum.accumulate(np.concatenate([[-1], which]))[:-1]
    firsts[places] = places[np.flatnonzero(which > ahead)[which]]
    return firsts


def _hashes(texts: pa.Array) -> NDArray[np.int64]:
    """Return a number for each text, equal for equal ones, and in this process alone."""
    numbers = np.empty(len(texts), np.int64)
    for start in range(0, len(texts), _AT_ONCE):
        some = texts[start : start + _AT_ONCE].to_pylist()
        numbers[start : start + len(some)] = np.fromiter(map(hash, some), np.int64, len(some))
    return numbers


def _of_an_id(rows: Rows, first_place: int, number: int) -> RowProblem | Duplicate:
    """Return a `Duplicate` or a problem for a row that has the id of an earlier row."""
    first, row = rows[first_place], rows[number]
    derived = rows.column("derived")
    other = place(first.file, first.number)
    if derived[first_place] != derived[number]:
        expected = f"an id of its own: {other} has this one and asks for something else"
        return RowProblem(row.file, row.number, "id", shown(row.id), expected)
    if first.output != row.output:
        expected = f"{shown(first.output)}, since {other} asks for the same; give each an id to have both"
        return RowProblem(row.file, row.number, "output", shown(row.output), expected)
    return Duplicate(row.id, row.file, row.number, other)


def _of_a_picture(rows: Rows, places: list[int]) -> dict[int, RowProblem]:
    """Return what is wrong with rows whose pictures have the name of another's, by their places.

    Args:
        rows: all of them.
        places: of those that share names, in order.
    """
    by_id: dict[str, Row] = {}
    named: dict[str, Row] = {}  # by names that do not end in an id
    problems: dict[int, RowProblem] = {}
    for number in places:
        row = rows[number]
        by_id[row.id] = row
        if (owner := _owner(row, by_id, named)) is not row:
            expected = f"a name of its own: {place(owner.file, owner.number)} is written there"
            problems[number] = RowProblem(row.file, row.number, "output", shown(row.output), expected)
    return problems


def _owner(row: Row, by_id: dict[str, Row], named: dict[str, Row]) -> Row:
    """Return the first row whose picture has this row's name."""
    if first := named.get(row.output):
        return first
    after_id = by_id.get(id_within(row.output))
    if after_id and after_id.output == row.output:
        return after_id
    named[row.output] = row
    return row
