"""The file formats of manifests, CSV, JSON Lines and Parquet: cells by column, and every place that cannot be read."""

import csv
import gzip
import io
import json
import os
import zlib
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.manifest.expansion import longest_text, most_unpacked, parquet_fault, text_paths, unpacks_to_more
from pipeline.manifest.row import SHOWN, RowProblem, extension, shown
from pipeline.manifest.strangers import expected_name, foreign, foreign_header, old_mac
from pipeline.manifest.unnamed import Nameless, index_columns, is_index

MAX_COLUMNS = 1000
"""Columns that a manifest may have; a table with more is something else."""

MAX_LINE = 16 * 2**20
"""Bytes of one line of text; a longer one is a problem and is not held in memory."""

MAX_CELL = csv.field_size_limit()
"""Characters of one CSV cell (131,072 unless a program changes it), which also bounds how far a lost quote reaches."""

_ROWS_AT_ONCE = 1024

_BEGINNING = 256
"""Bytes of a text that tell whether it is one."""


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


@dataclass(frozen=True)
class Records:
    """Rows that are at hand and in no file, such as those of a data frame.

    Attributes:
        rows: cells by column name.
        name: how problems call it, before the number of a row, from 1.
    """

    rows: Sequence[Mapping[str, Any]]
    name: str = "table"

    def read(self, *, wanted: Collection[str]) -> Iterator[Item]:
        """Yield the header and the rows, as `read_table` does for a file.

        Args:
            wanted: columns whose cells are kept.
        """
        if not self.rows:
            return
        names = [name.strip() for name in dict.fromkeys(str(name) for row in self.rows for name in row)]
        names = [name for name in names if not is_index(name)]
        yield from _header(self.name, None, names)
        if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
            return
        nameless = Nameless(self.name, None, names)
        for number, row in enumerate(self.rows, start=1):
            cells = {str(name).strip(): _plain(value) for name, value in row.items()}
            if nameless.places:
                yield from nameless.problems([cells.get(name) for name in names])
            yield Record(number, {name: value for name, value in cells.items() if name in wanted})


Source = str | Records | Sequence[str | Records]
"""Where rows come from: a file, a folder of files, rows at hand, or several of these."""


def each(source: Source) -> list[str | Records]:
    """Return the members of a source as a list."""
    return [source] if isinstance(source, str | Records) else list(source)


def described(source: Source) -> list[str]:
    """Return the names of a source's members: URIs, and the names of rows at hand."""
    return [one if isinstance(one, str) else one.name for one in each(source)]


def read_table(file: str, *, wanted: Collection[str]) -> Iterator[Item]:
    """Yield the headers, rows and problems of one file, one at a time.

    Reading goes on after a row that cannot be read, wherever the rest can still be understood.

    Args:
        file: URI; its extension decides the format.
        wanted: columns whose cells are kept. Headers name every column.
    """
    read = _READERS.get(extension(file) or "")
    whole = partial(RowProblem, file, None, None, "")
    if read is None:
        yield whole(expected_name(file))
        return
    try:
        data = storage.read_bytes(file)
        if data:
            yield from read(file, data, wanted)
        else:
            yield whole("rows, not an empty file of 0 bytes")
    except storage.StorageError as error:
        yield whole(f"a file that can be read; {error}")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield whole(f"an intact gzip file ({error}); it was read up to there: make or copy it again")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield whole(f"an intact Parquet file ({reason}): make or copy it again")


def parse_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: if it is malformed, nested too deep, or gives a name twice in one object.
    """
    try:
        return _json_decoder.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError("nested too deep") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dictionary, or raise ValueError if it has the same name twice."""
    members = dict(pairs)
    if len(members) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{shown(twice)} stands there twice")
    return members


_json_decoder = json.JSONDecoder(object_pairs_hook=_unique)


class _Line(NamedTuple):
    number: int
    text: str
    fault: str  # empty: none


def _lines(file: str, data: bytes) -> Iterator[_Line]:
    """Yield the lines of a text with their ends and without a byte order mark; `fault` says why one cannot be used."""
    raw = io.BytesIO(data)
    is_packed = storage.without_query(file).lower().endswith(".gz")
    stream = io.BufferedReader(gzip.GzipFile(fileobj=raw) if is_packed else raw)
    left = most_unpacked(len(data)) if is_packed else len(data)
    if fault := foreign(stream.peek(_BEGINNING)[:_BEGINNING]):
        yield _Line(1, "", fault)
        return
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        left -= len(line)
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
            if fault := old_mac(line):
                yield _Line(1, line.partition(b"\r")[0].decode(errors="replace"), fault)
                return
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            yield _Line(number, "", f"a line of at most {MAX_LINE:,} bytes")
            while left >= 0 and (rest := stream.readline(2**16)) and not rest.endswith(b"\n"):
                left -= len(rest)
            continue
        if left < 0:
            yield _Line(number, "", unpacks_to_more(len(data)))
            return
        try:
            yield _Line(number, line.decode(), "")
        except UnicodeDecodeError as error:
            fault = f"text in UTF-8 (byte {error.start + 1} of this line is not): save the file as UTF-8"
            yield _Line(number, line.decode(errors="replace"), fault)


class _CsvLines:
    """Lines for csv.reader, which can go back to the second line of a row that could not be read."""

    def __init__(self, lines: Iterator[_Line]) -> None:
        self._lines = lines
        self._again: deque[_Line] = deque()
        self.row: list[_Line] = []

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


def _csv(file: str, data: bytes, wanted: Collection[str]) -> Iterator[Item]:
    """Yield the header, rows and problems of a CSV file."""
    lines = _CsvLines(_lines(file, data))
    rows = lines.rows()
    number, cells, fault = next(rows, (1, [], "a header line with the names of columns; the file is blank"))
    if fault:
        yield RowProblem(file, number, None, shown(lines.text) if lines.row and lines.text else "", fault)
        return
    names = [name.strip() for name in _without_end(cells, 0)]
    if fault := foreign_header(lines.text, names):
        yield RowProblem(file, number, None, shown(lines.text), fault)
        return
    yield from _header(file, number, names)
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


def _jsonl(file: str, data: bytes, wanted: Collection[str]) -> Iterator[Item]:
    """Yield the rows and problems of a JSON Lines file, and a header whenever a name appears for the first time."""
    seen: set[str] = set()
    for number, text, fault in _lines(file, data):
        if not fault and not text.strip():
            continue
        cells: Any = None
        try:
            cells = None if fault else parse_json(text)
        except ValueError as error:
            fault = f"a JSON object on one line ({error})"
        if not fault and not isinstance(cells, dict):
            fault = 'a JSON object such as {"content": "a.jpg", "style": "b.jpg"}'
        if fault:
            yield RowProblem(file, number, None, shown(text.strip()) if text else "", fault)
            continue
        if not cells.keys() <= seen:
            new = [name for name in cells if name not in seen]
            seen.update(new)
            if len(seen) > MAX_COLUMNS:
                yield _too_many(file, number, len(seen))
                return
            yield Header(number, tuple(new), whole=False)
        yield Record(number, {name: value for name, value in cells.items() if name in wanted})


def _parquet(file: str, data: bytes, wanted: Collection[str]) -> Iterator[Item]:
    """Yield the header, rows and problems of a Parquet file."""
    table = pq.ParquetFile(pa.BufferReader(data))
    index = index_columns(table.schema_arrow)
    raw_names = [raw for raw in table.schema_arrow.names if raw not in index or raw.strip() in wanted]
    names = [name.strip() for name in raw_names]
    yield from _header(file, None, names)
    if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
        return
    nameless = Nameless(file, None, names)
    columns = {raw: name for raw, name in zip(raw_names, names, strict=True) if name in wanted}
    columns |= dict.fromkeys(nameless.among(raw_names), "")
    if fault := parquet_fault(table.metadata, columns, len(data)):
        yield RowProblem(file, None, None, "", fault)
        return
    # Texts stay in their dictionary, where one is stored, until it is known how long they are.
    table = pq.ParquetFile(pa.BufferReader(data), metadata=table.metadata, read_dictionary=text_paths(table, columns))
    number = 0
    for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE, columns=list(columns)):
        for row in _python_rows(batch):
            number += 1
            if isinstance(row, str):
                yield RowProblem(file, number, None, "", f"values that can be read ({row})")
                continue
            if nameless.places:
                yield from nameless.problems([row.get(raw) for raw in raw_names])
            yield Record(number, {name: _plain(row[raw]) for raw, name in columns.items() if name})


def _python_rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | str]:
    """Yield the rows of a record batch; in the place of one that Python should not or cannot hold, the reason as text.

    Reasons are text that is too long or not UTF-8, and dates out of range.
    """
    try:
        if (longest := max(map(longest_text, batch.columns), default=0)) > MAX_CELL:
            raise ValueError(f"a text of {longest:,} bytes, expected at most {MAX_CELL:,}")
        columns = [one.dictionary_decode() if pa.types.is_dictionary(one.type) else one for one in batch.columns]
        yield from pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()
    except (ValueError, OverflowError) as error:
        if batch.num_rows == 1:
            yield str(error)
        else:
            for index in range(batch.num_rows):
                yield from _python_rows(batch.slice(index, 1))


def _plain(value: Any) -> Any:
    """Return a cell of a frame or a mapping as a file has it: None for NaN, text for a path, all else as it is."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    return None if isinstance(value, float) and value != value else value


def _header(file: str, number: int | None, names: list[str]) -> Iterator[Item]:
    """Yield the header of a whole table after what is wrong with its names."""
    if len(names) > MAX_COLUMNS:
        yield _too_many(file, number, len(names))
        return
    unnamed = Nameless(file, number, names).among(names)
    for name in sorted({name for name in names if name not in unnamed and names.count(name) > 1}):
        yield RowProblem(file, number, name[:SHOWN], "", "a column of this name once in the header")
    yield Header(number, tuple(name for name in names if name not in unnamed), whole=True)


def _too_many(file: str, number: int | None, count: int) -> RowProblem:
    return RowProblem(file, number, None, "", f"at most {MAX_COLUMNS} columns, not {count:,}")


_READERS: dict[str, Callable[[str, bytes, Collection[str]], Iterator[Item]]] = {
    ".csv": _csv,
    ".csv.gz": _csv,
    ".jsonl": _jsonl,
    ".jsonl.gz": _jsonl,
    ".ndjson": _jsonl,
    ".ndjson.gz": _jsonl,
    ".parquet": _parquet,
}
