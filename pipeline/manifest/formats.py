"""The file formats of manifests, CSV, JSON Lines and Parquet, and rows that are at hand: what each holds."""

import gzip
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from pipeline import storage
from pipeline.manifest.csv_file import read_csv
from pipeline.manifest.items import MAX_COLUMNS, Item, Record, header, plain, unnamed
from pipeline.manifest.json_lines import read_json_lines
from pipeline.manifest.parquet_file import read_parquet
from pipeline.manifest.pieces import Piece
from pipeline.manifest.row import RowProblem, extension
from pipeline.manifest.strangers import expected_name
from pipeline.manifest.unnamed import Nameless, is_index


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
        yield from header(self.name, None, names)
        if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
            return
        nameless = Nameless(self.name, None, names)
        for number, row in enumerate(self.rows, start=1):
            cells = {str(name).strip(): plain(value) for name, value in row.items()}
            if nameless.places:
                yield from unnamed(nameless, [cells.get(name) for name in names])
            yield Record(number, {name: value for name, value in cells.items() if name in wanted})


Source = str | Records | Sequence[str | Records]
"""Where rows come from: a file, a folder of files, rows at hand, or several of these."""


def each(source: Source) -> list[str | Records]:
    """Return the members of a source as a list."""
    return [source] if isinstance(source, str | Records) else list(source)


def described(source: Source) -> list[str]:
    """Return the names of a source's members: URIs, and the names of rows at hand."""
    return [one if isinstance(one, str) else one.name for one in each(source)]


def read_table(piece: Piece, *, wanted: Collection[str]) -> Iterator[Item]:
    """Yield the headers, rows and problems of a piece of a file, one at a time, and its end.

    Reading goes on after a row that cannot be read, wherever the rest can still be understood.

    Args:
        piece: of a file, whose extension decides the format.
        wanted: columns whose cells are kept. Headers name every column.
    """
    read = _READERS.get(extension(piece.file) or "")
    whole = partial(RowProblem, piece.file, None, None, "")
    if read is None:
        yield whole(expected_name(piece.file))
        return
    try:
        data = storage.read_bytes(piece.uri) if piece.is_whole else None
        if data == b"":
            yield whole("rows, not an empty file of 0 bytes")
        else:
            yield from read(piece, data, wanted)
    except storage.StorageError as error:
        yield whole(f"a file that can be read; {error}")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield whole(f"an intact gzip file ({error}); it was read up to there: make or copy it again")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield whole(f"an intact Parquet file ({reason}): make or copy it again")


_READERS: dict[str, Callable[[Piece, bytes | None, Collection[str]], Iterator[Item]]] = {
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".jsonl": read_json_lines,
    ".jsonl.gz": read_json_lines,
    ".ndjson": read_json_lines,
    ".ndjson.gz": read_json_lines,
    ".parquet": read_parquet,
}
