"""The parts of a manifest in order: a piece of a file counts only if it begins where the one before it has ended."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline import storage
from pipeline.manifest.items import MAX_COLUMNS
from pipeline.manifest.parts import How, Part, Task, read_part
from pipeline.manifest.pieces import NEVER, Piece
from pipeline.manifest.row import RowProblem


class _Up(NamedTuple):
    """How far a file has been read.

    Attributes:
        place: where the next record begins.
        records: lines or rows before it.
        names: columns of JSON Lines before it.
    """

    place: int = 0
    records: int = 0
    names: frozenset[str] = frozenset()


def in_order(tasks: Iterable[tuple[Task, Part | None]], how: How) -> Iterator[tuple[Part, int]]:
    """Yield what is read for each task, in order, and how many lines or rows of its file were before it.

    Args:
        tasks: what to read from, and what was read by somebody who knows nothing of the tasks before; None: nothing.
        how: to read it.
    """
    up = _Up()
    for task, part in tasks:
        if not isinstance(task, tuple) or task[0].is_whole:
            yield part or read_part(task, how), 0
            continue
        piece = task[0]
        up = up if piece.start else _Up()
        if up.place >= piece.stop:  # a record that began before it goes on up to its end, or nothing is read any more
            continue
        if part is None or (piece.start and not _follows(part, up)):
            part = read_part((dataclasses.replace(piece, start=up.place, names=up.names),), how)
        yield part, up.records
        if part.end is None:
            up = _Up(NEVER)
            continue
        up = _Up(part.end.place, up.records + part.end.records, up.names | part.end.names)
        if piece.end is None and (problem := _changed(piece)):
            yield Part(part.rows[:0], [(0, problem)], Counter(), None), 0


def _follows(part: Part, up: _Up) -> bool:
    """Return whether a part is what would have been read from the end of the one before it."""
    end = part.end
    return end is not None and end.began == up.place and len(end.names | up.names) <= MAX_COLUMNS


def _changed(piece: Piece) -> RowProblem | None:
    """Return a problem if a file is not the one any more that was cut into pieces."""
    try:
        if storage.identity(piece.uri) == piece.identity:
            return None
        expected = "a file that stays as it is while it is read; it was changed meanwhile: begin again"
    except storage.StorageError as error:
        expected = f"a file that can be read; {error}"
    return RowProblem(piece.file, None, None, "", expected)
