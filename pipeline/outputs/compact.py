"""The merging of many small Parquet files of results into few large ones, at the end of a run, in bounded memory."""

import hashlib
import io
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import layout, storage
from pipeline.outputs.schema import SCHEMA
from pipeline.outputs.table import BATCH, newest, parts, read_part

FILE_BYTES = 128 * 2**20
"""Bytes of rows in memory that make a full file, which is some tens of megabytes in Parquet."""

PARTS_AT_ONCE = 64
"""Small files that are read before it is decided whether they fill a large one."""

log = logging.getLogger(__name__)


def compact(output: str, *, file_bytes: int = FILE_BYTES) -> list[str]:
    """Merge the small files of the results, and return the URIs of the files that took their place.

    New files are whole before any old one is deleted, and readers take the newest row of each id: a crash in between
    leaves rows twice in storage and once in every answer. Full files, `rows-…`, are not touched again; the last
    one, `rest-…`, is merged with the parts of the next run. Only the holder of the run lock may do this.

    Args:
        output: of the run.
        file_bytes: of rows in memory that make a full file.

    Raises:
        StorageError: if a file cannot be read, written or deleted; no row is lost then.
    """
    own = _own(output)
    small = [part for part in own if not layout.is_full(part)]
    if len(small) < 2:
        return []
    written = [_write(output, table, full=full) for table, full in _merged(small, file_bytes)]
    # By name: the same rows make the same file, which may be there already, and a store may spell its URI otherwise.
    kept = {_name(uri) for uri in written}
    storage.remove_files(layout.results_folder(output), [name for name in map(_name, small) if name not in kept])
    log.info("%d files of results became %d", len(small), len(written))
    return written


def forget(output: str, ids: Sequence[str]) -> None:
    """Take the rows with these ids out of the results. Only the holder of the run lock may do this.

    Each file that has one is written anew without them before it is deleted: a crash in between leaves rows that are
    found again.

    Raises:
        StorageError: if a file cannot be read, written or deleted.
    """
    leaving = pa.array(ids, pa.string())
    for part in _own(output):
        table = read_part(part)
        kept = table.filter(pc.invert(pc.is_in(table["id"], leaving)))
        if len(kept) == len(table):
            continue
        if len(kept):
            _write(output, kept, full=layout.is_full(part))
        storage.remove(part)


def _own(output: str) -> list[str]:
    """Return the files of the results; those in folders below, where a link may have led the listing, are no part."""
    return [part for part in parts(output) if "/" not in storage.relative(part, layout.results_folder(output))]


def _merged(parts: Sequence[str], file_bytes: int) -> Iterator[tuple[pa.Table, bool]]:
    """Yield tables of about `file_bytes`, with the newest row of each id, and whether each is full."""
    held: list[pa.Table] = []
    with ThreadPoolExecutor(16) as pool:
        for start in range(0, len(parts), PARTS_AT_ONCE):
            held += pool.map(read_part, parts[start : start + PARTS_AT_ONCE])
            if sum(table.nbytes for table in held) >= file_bytes:
                table = newest(pa.concat_tables(held))
                if table.nbytes >= file_bytes:
                    yield table, True
                    held = []
                else:  # many rows were there several times
                    held = [table]
    if held:
        yield newest(pa.concat_tables(held)), False


def _write(output: str, table: pa.Table, *, full: bool) -> str:
    """Write merged rows, and return the URI of their file."""
    buffer = io.BytesIO()
    pq.write_table(table.cast(SCHEMA), buffer, compression="zstd", row_group_size=BATCH)
    data = buffer.getvalue()
    uri = layout.merged_file(output, hashlib.sha256(data).hexdigest()[:16], full=full)
    storage.write_bytes(uri, data)
    return uri


def _name(uri: str) -> str:
    """Return the name of a file without its folder."""
    return uri.rpartition("/")[2]
