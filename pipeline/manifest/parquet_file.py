"""Manifests in Parquet: cells by column, and every row that cannot be read."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.manifest.csv_file import MAX_CELL
from pipeline.manifest.expansion import longest_text, parquet_fault, text_paths
from pipeline.manifest.items import MAX_COLUMNS, End, Header, Item, Record, header, plain, unnamed
from pipeline.manifest.pieces import Piece
from pipeline.manifest.row import RowProblem
from pipeline.manifest.unnamed import Nameless, index_columns

_ROWS_AT_ONCE = 1024


def read_parquet(piece: Piece, data: bytes | None, wanted: Collection[str]) -> Iterator[Item]:
    """Yield the header, rows and problems of a Parquet file or of some of its row groups.

    Args:
        piece: of the file.
        data: the file, where the piece is the whole of it.
        wanted: columns whose cells are kept.
    """
    source = storage.RangedFile(piece.uri, piece.length) if data is None else data
    table = storage.parquet_file(source)
    index = index_columns(table.schema_arrow)
    raw_names = [raw for raw in table.schema_arrow.names if raw not in index or raw.strip() in wanted]
    names = [name.strip() for name in raw_names]
    for item in header(piece.file, None, names):
        if not piece.start:
            yield item
        elif isinstance(item, Header):
            yield dataclasses.replace(item, is_repeated=True)
    if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
        return
    nameless = Nameless(piece.file, None, names)
    columns = {raw: name for raw, name in zip(raw_names, names, strict=True) if name in wanted}
    columns |= dict.fromkeys(nameless.among(raw_names), "")
    if fault := parquet_fault(table.metadata, columns, (piece.length or 0) if data is None else len(data)):
        yield RowProblem(piece.file, None, None, "", fault)
        return
    # Texts stay in their dictionary, where one is stored, until it is known how long they are.
    table = storage.parquet_file(source, metadata=table.metadata, read_dictionary=text_paths(table, columns))
    number, groups = 0, range(table.num_row_groups)[piece.start : piece.end]
    for batch in _batches(table, groups, list(columns)):
        for row in _python_rows(batch):
            number += 1
            if isinstance(row, str):
                yield RowProblem(piece.file, number, None, "", f"values that can be read ({row})")
                continue
            if nameless.places:
                yield from unnamed(nameless, [row.get(raw) for raw in raw_names])
            yield Record(number, {name: plain(row[raw]) for raw, name in columns.items() if name})
    yield End(piece.start, groups.stop, number)


def _batches(table: pq.ParquetFile, groups: Iterable[int], columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield columns in parts that Python can hold, none of which are of two row groups."""
    for group in groups:
        yield from table.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=columns, use_threads=False)


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
