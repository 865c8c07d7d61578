"""Manifests in CSV: cells by column, and every place that cannot be read."""

import csv
from collections import deque
from collections.abc import Collection, Iterator

from pipeline.manifest.items import MAX_COLUMNS, Item, Record, header
from pipeline.manifest.row import RowProblem, shown
from pipeline.manifest.strangers import foreign_header
from pipeline.manifest.text import Line, lines_of
from pipeline.manifest.unnamed import Nameless

MAX_CELL = csv.field_size_limit()
"""Characters of one CSV cell (131,072 unless a program changes it), which also bounds how far a lost quote reaches."""


class _CsvLines:
    """Lines for csv.reader, which can go back to the second line of a row that could not be read."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self.row: list[Line] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.row.append(line)
        return line.text

    def back(self) -> None:
        """Rewind, so that all lines of the current row except the first are read again."""
        self._again.extendleft(reversed(self.row[1:]))

    def rows(self) -> Iterator[tuple[int, list[str], str]]:
        """Yield (line number, cells, fault) for every row that is not blank; `fault` is empty where there is none."""
        # Strict: a stray or lost quote is an error, not half of the file in one cell.
        reader = csv.reader(self, strict=True)
        while True:
            self.row.clear()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fault = f"a CSV row with cells of at most {MAX_CELL:,} characters ({error})"
                if len(self.row) > 1:
                    fault = f"the quote that opens in this row to be closed ({error}); double a quote within a cell"
                self.back()
                yield self.row[0].number, [], fault
                continue
            fault = next((line.fault for line in self.row if line.fault), "")
            if fault or any(cell and not cell.isspace() for cell in cells):  # spreadsheets keep the commas of no cells
                yield self.row[0].number, cells, fault

    @property
    def text(self) -> str:
        """The first line of this row, or what is left of it."""
        return self.row[0].text.rstrip("\r\n")


def read_csv(file: str, data: bytes, wanted: Collection[str]) -> Iterator[Item]:
    """Yield the header, rows and problems of a CSV file."""
    lines = _CsvLines(lines_of(file, data))
    rows = lines.rows()
    number, cells, fault = next(rows, (1, [], "a header line with the names of columns; the file is blank"))
    if fault:
        yield RowProblem(file, number, None, shown(lines.text) if lines.row and lines.text else "", fault)
        return
    names = [name.strip() for name in _without_end(cells, 0)]
    if fault := foreign_header(lines.text, names):
        yield RowProblem(file, number, None, shown(lines.text), fault)
        return
    yield from header(file, number, names)
    if len(names) > MAX_COLUMNS:
        return
    nameless = Nameless(file, number, names)
    # Of two columns of one name, which is a problem already, the first is read.
    wanted_places = [(names.index(name), name) for name in dict.fromkeys(names) if name in wanted]
    for number, cells, fault in rows:
        if len(cells) > len(names):
            cells = _without_end(cells, len(names))
        if not fault and len(cells) != len(names):
            advice = "; quote a cell that holds a comma" if len(cells) > len(names) else ""
            fault = f"{len(names)} cells as in the header, not {len(cells)}{advice}"
        if fault:
            yield RowProblem(file, number, None, shown(lines.text) if lines.text else "", fault)
            continue
        if nameless.places:
            yield from nameless.problems(cells)
        yield Record(number, {name: cells[index].strip() for index, name in wanted_places})


def _without_end(cells: list[str], least: int) -> list[str]:
    """Return the cells of a line without the empty ones behind the others, but at least so many as given."""
    count = len(cells)
    while count > least and not cells[count - 1].strip():
        count -= 1
    return cells[:count]
