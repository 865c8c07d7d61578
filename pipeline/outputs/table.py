"""What happened: the schema of the results, commit of a batch, reading back, a summary."""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.outputs import layout
from pipeline.outputs.schema import SCHEMA
from pipeline.storage import RangedFile


def commit(output: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write the rows of a finished batch as one Parquet part, whole or not at all; its URI.

    The part is named after the rows' meaning and outcome, so that the same batch done twice overwrites itself.

    Raises:
        StorageError: if it cannot be written.
    """
    table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
    what = table.select(["id", "fingerprint", "status"]).to_pylist()
    name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    part = layout.part_file(output, name)
    storage.write_bytes(part, buffer.getvalue())
    return part


def read_results(output: str, *, columns: Sequence[str] | None = None, ordered: bool = True) -> pa.Table:
    """The results of a run, one row per id (the last to finish), ordered by id.

    Args:
        output: the folder given to the run.
        columns: only these, in this order; all by default.
        ordered: False: in any order, which is quicker.

    Raises:
        StorageError: if the folder has no results or a part cannot be read.
    """
    wanted = list(columns or SCHEMA.names)
    read = list(dict.fromkeys([*wanted, "id", "finished_at"]))
    for attempt in range(READINGS):
        found = parts(output)
        if not found:
            raise storage.StorageError(
                f"no results in {output}: expected {layout.results_folder(output)}/{layout.PARTS}"
            )
        try:
            with ThreadPoolExecutor(16) as pool:
                tables = list(pool.map(lambda part: read_part(part, read), found))
        except storage.NotFound:
            # A run that ends merges its parts meanwhile: what is gone is in another file by now.
            if attempt + 1 < READINGS:
                continue
            raise
        table = pa.concat_tables(tables)
        if not ordered and pc.count_distinct(table["id"]).as_py() == len(table):
            return table.select(wanted)
        return newest(table).select(wanted)
    raise AssertionError("unreachable")


READINGS = 3
"""Times that results are read anew since files vanished meanwhile."""


def newest(table: pa.Table) -> pa.Table:
    """The row of each id that was the last to finish, ordered by id."""
    table = table.sort_by([("id", "ascending"), ("finished_at", "ascending")])
    ids = table["id"].combine_chunks()
    if len(ids) < 2:
        return table
    return table.filter(pa.concat_arrays([pc.not_equal(ids[1:], ids[:-1]), pa.array([True])]))


def parts(output: str) -> list[str]:
    """URIs of the Parquet files of a run; none where there was no run."""
    try:
        return storage.list_files(layout.results_folder(output), suffix=".parquet")
    except storage.NotFound:
        return []


def read_part(part: str, columns: Sequence[str] = SCHEMA.names) -> pa.Table:
    """A part in today's schema: a column that an older version did not have is null.

    Raises:
        StorageError: if it cannot be read; the message says what to do.
    """
    try:
        table = pq.ParquetFile(_opened(part, columns), pre_buffer=True).read(columns=list(columns))
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, storage.StorageError):
            raise
        raise storage.StorageError(
            f"cannot read {part}: {error}. Delete it, and an archive's {layout.INDEX}, to have its rows done again."
        ) from error
    for name in columns:
        if name not in table.column_names:
            table = table.append_column(SCHEMA.field(name), pa.nulls(len(table), SCHEMA.field(name).type))
    return table.select(list(columns)).cast(pa.schema([SCHEMA.field(name) for name in columns]))


def _opened(part: str, columns: Sequence[str]) -> io.IOBase:
    """A part to be read: nearly all of a full one are its curves, so that where they are not asked for, it is not read
    whole."""
    return RangedFile(part) if layout.is_full(part) and "curve" not in columns else io.BytesIO(storage.read_bytes(part))
