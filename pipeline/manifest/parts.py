"""Parts of what a manifest names, each read by itself, wherever that is done, and made one again."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nst_kernel.params import StyleParams
from pipeline import storage
from pipeline.manifest.formats import Records, read_table
from pipeline.manifest.items import MAX_COLUMNS, End, Once
from pipeline.manifest.partitions import with_partition
from pipeline.manifest.pieces import Piece
from pipeline.manifest.row import RowProblem
from pipeline.manifest.row_reader import IN_PARAMS, WANTED, RowReader
from pipeline.manifest.rows import Columns, Rows, joined
from pipeline.manifest.settings import Settings

MAX_PROBLEMS = 10_000
"""Problems after which reading stops: nobody reads more, and each takes memory."""

_READ_ON = MAX_PROBLEMS + 3 * MAX_COLUMNS
"""Problems after which the reading of a part stops: of those that are named once in a file, others may have some."""

Task = RowProblem | Records | tuple[Piece, ...]
"""What one part is read from: rows at hand, whole files, or one piece of a file; or why there is nothing to read."""


class How(NamedTuple):
    """How rows are read, wherever that is done.

    Attributes:
        encoder_sha256: of the encoder's weights, part of a derived id.
        defaults: style parameters for rows that do not give them.
        settings: those that somebody asked for now.
    """

    encoder_sha256: str
    defaults: Mapping[str, object]
    settings: Settings


class Noted(NamedTuple):
    """A problem, and how many rows were read before it."""

    before: int
    problem: RowProblem


class Part(NamedTuple):
    """What was read for a task. Numbers of lines are counted from the start of its piece.

    Attributes:
        rows: those that can be used by themselves.
        found: what is wrong, in the order in which it occurred, and how many rows there were before.
        own: by parameter that somebody asked for, how many rows give it themselves.
        end: of the piece; None: nothing of its file is to be read after it, or the task has several files.
        is_settled: whether rows follow from their files alone: no style is a folder of pictures.
    """

    rows: Rows
    found: Sequence[tuple[int, RowProblem | Once]]
    own: Counter[str]
    end: End | None
    is_settled: bool = True


def read_part(task: Task, how: How) -> Part:
    """Return what is read for a task; this is the function that reads all manifests."""
    settings = Settings(how.settings.values, how.settings.override)
    reader = RowReader(how.encoder_sha256, how.defaults, settings)
    end: End | None = None
    found: list[tuple[int, RowProblem | Once]] = []
    for item in _read(task, reader):
        if isinstance(item, End):
            end = item
        else:
            found.append((reader.columns.count, item))
        if len(found) == _READ_ON:
            end = None
            break
    return Part(reader.columns.rows(), found, settings.own, end, not reader.reads_folders)


def _read(task: Task, reader: RowReader) -> Iterator[RowProblem | Once | End]:
    """Yield what is wrong with what a task names, and the ends of pieces, while a reader takes the rows."""
    if isinstance(task, RowProblem):
        yield task
    elif isinstance(task, Records):
        yield from reader.read(task.name, storage.absolute("."), task.read(wanted=WANTED))
    else:
        for piece in task:
            named, items = storage.without_secrets(piece.file), read_table(piece, wanted=WANTED)
            items = with_partition(named, items, piece.columns) if piece.columns else items
            yield from reader.read(named, piece.base, items)


class Gathering:
    """Parts in the order of the manifest, which become one.

    Attributes:
        noted: what is wrong with files and rows, in the order in which it occurs.
        count: rows so far.
        is_settled: whether all parts are.
    """

    def __init__(self, encoder_sha256: str, wrong: Sequence[RowProblem]) -> None:
        """Begin without parts.

        Args:
            encoder_sha256: of the encoder whose digest takes part in derived ids.
            wrong: problems that come before those of rows.
        """
        self.noted = [Noted(0, problem) for problem in wrong]
        self.count, self.is_settled = 0, True
        self._encoder = encoder_sha256
        self._tables: list[pa.Table] = []
        self._params: dict[StyleParams, int] = {}
        self._named: dict[str, set[tuple[str, ...]]] = {}  # by file, what has been named and is not named again

    @property
    def is_full(self) -> bool:
        """Whether there are so many problems that nobody wants more."""
        return len(self.noted) >= MAX_PROBLEMS

    def add(self, part: Part, records: int = 0) -> None:
        """Take a part.

        Args:
            part: the next one.
            records: lines or rows of its file that were before it.
        """
        rows = len(part.rows)
        for before, found in part.found:
            if (problem := self._problem(found, records)) is None:
                continue
            self.noted.append(Noted(self.count + before, problem))
            if self.is_full:
                rows = before
                break
        numbers = [self._params.setdefault(params, len(self._params)) for params in part.rows.params]
        table = part.rows.table.slice(0, rows)
        self._tables.append(_changed(table, numbers, records))
        self.count += rows
        self.is_settled &= part.is_settled

    def _problem(self, found: RowProblem | Once, records: int) -> RowProblem | None:
        """Return a problem with the number that its line has in its file; None for one that has been named."""
        if isinstance(found, RowProblem):
            return _moved(found, records)
        named = self._named.setdefault(found.problem.file, set())
        if found.key in named:
            return None
        if found.key[0] == IN_PARAMS and sum(key[0] == IN_PARAMS for key in named) >= MAX_COLUMNS:
            return None
        named.add(found.key)
        return found.problem if found.is_of_file else _moved(found.problem, records)

    def rows(self) -> Rows:
        """Return the rows of all parts; no more can be taken."""
        if not self._tables:
            return Columns(self._encoder).rows()
        return Rows(joined(self._tables), tuple(self._params), self._encoder)


def _moved(problem: RowProblem, records: int) -> RowProblem:
    """Return a problem whose number is counted from so many lines before."""
    if problem.number is None or not records:
        return problem
    return dataclasses.replace(problem, number=problem.number + records)


def _changed(table: pa.Table, numbers: Sequence[int], records: int) -> pa.Table:
    """Return a table of rows with other numbers of parameters, and with lines that are counted from others.

    Args:
        table: as `rows.SCHEMA` has it.
        numbers: of the parameters, by those that the table has.
        records: lines before it.
    """
    changes = dict[str, pa.ChunkedArray]()
    if any(number != place for place, number in enumerate(numbers)):
        changes["params"] = pc.take(pa.array(np.array(numbers, np.int32)), table["params"])
    if records:
        changes["number"] = pc.add(table["number"], records)
    for name, column in changes.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), column)
    return table
