"""Manifests in CSV: cells by column, and every place that cannot be read."""

import csv
from collections import deque
from collections.abc import Collection, Iterator

from pipeline.manifest.items import MAX_COLUMNS, End, Header, Item, Record, header, unnamed
from pipeline.manifest.pieces import NEVER, Piece
from pipeline.manifest.row import RowProblem, shown
from pipeline.manifest.strangers import foreign_header
from pipeline.manifest.text import Line, Text
from pipeline.manifest.unnamed import Nameless

MAX_CELL = csv.field_size_limit()
"""Characters of one CSV cell (131,072 unless a program changes it), which also bounds how far a lost quote reaches."""


class _CsvLines:
    """Lines for csv.reader, which can go back to the second line of a row that could not be read.

    Attributes:
        row: the lines of the row that was read last.
        place: offset behind it.
        count: lines up to there.
    """

    def __init__(self, text: Text) -> None:
        self._lines = iter(text)
        self._again: deque[Line] = deque()
        self.row: list[Line] = []
        self.place, self.count = text.began, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.row.append(line)
        return line.text

    def _end(self, line: Line) -> None:
        """Note which line was the last of a row."""
        self.place, self.count = line.end, line.number

    def _back(self) -> None:
        """Rewind, so that all lines of the current row except the first are read again."""
        self._again.extendleft(reversed(self.row[1:]))
        self._end(self.row[0])

    def rows(self, end: int) -> Iterator[tuple[int, list[str], str]]:
        """Yield (line number, cells, fault) for every row that is not blank and begins before an offset.

        `fault` is empty where there is none.
        """
        # Strict: a stray or lost quote is an error, not half of the file in one cell.
        reader = csv.reader(self, strict=True)
        while self.place < end:
            self.row.clear()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fault = f"a CSV row with cells of at most {MAX_CELL:,} characters ({error})"
                if len(self.row) > 1:
                    fault = f"the quote that opens in this row to be closed ({error}); double a quote within a cell"
                self._back()
                yield self.row[0].number, [], fault
                continue
            self._end(self.row[-1])
            fault = next((line.fault for line in self.row if line.fault), "")
            if fault or any(cell and not cell.isspace() for cell in cells):  # spreadsheets keep the commas of no cells
                yield self.row[0].number, cells, fault

    @property
    def text(self) -> str:
        """The first line of this row, or what is left of it."""
        return self.row[0].text.rstrip("\r\n")


def read_csv(piece: Piece, data: bytes | None, wanted: Collection[str]) -> Iterator[Item]:
    """Yield the header, rows and problems of a piece of a CSV file.

    Args:
        piece: of the file.
        data: the file, where the piece is the whole of it.
        wanted: columns whose cells are kept.
    """
    text, is_first = Text(piece, data), not piece.start
    lines = _CsvLines(text if is_first else text.beginning())
    found, names = _top(text.file, lines)
    yield from found if is_first else [Header(None, tuple(names), whole=True, is_repeated=True)]
    if not names:
        return
    nameless = Nameless(text.file, lines.row[0].number, names)
    # Of two columns of one name, which is a problem already, the first is read.
    wanted_places = [(names.index(name), name) for name in dict.fromkeys(names) if name in wanted]
    lines = lines if is_first else _CsvLines(text)
    for number, cells, fault in lines.rows(piece.stop):
        if len(cells) > len(names):
            cells = _without_end(cells, len(names))
        if not fault and len(cells) != len(names):
            advice = "; quote a cell that holds a comma" if len(cells) > len(names) else ""
            fault = f"{len(names)} cells as in the header, not {len(cells)}{advice}"
        if fault:
            yield RowProblem(text.file, number, None, shown(lines.text) if lines.text else "", fault)
            continue
        if nameless.places:
            yield from unnamed(nameless, cells)
        yield Record(number, {name: cells[index].strip() for index, name in wanted_places})
    yield End(text.began, lines.place, lines.count)


def _top(file: str, lines: _CsvLines) -> tuple[list[Item], list[str]]:
    """Return the header of a CSV file with what is wrong with it, and the names of its columns: none if it is useless.

    Args:
        file: URI.
        lines: of the file, from its start on.
    """
    blank = (1, list[str](), "a header line with the names of columns; the file is blank")
    number, cells, fault = next(lines.rows(NEVER), blank)
    if fault:
        return [RowProblem(file, number, None, shown(lines.text) if lines.row and lines.text else "", fault)], []
    names = [name.strip() for name in _without_end(cells, 0)]
    if fault := foreign_header(lines.text, names):
        return [RowProblem(file, number, None, shown(lines.text), fault)], []
    return list(header(file, number, names)), names if len(names) <= MAX_COLUMNS else []


def _without_end(cells: list[str], least: int) -> list[str]:
    """Return the cells of a line without the empty ones behind the others, but at least so many as given."""
    count = len(cells)
    while count > least and not cells[count - 1].strip():
        count -= 1
    return cells[:count]
