"""The results as Parquet files: a finished batch is committed as one file, and all files are read as one table."""

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import layout, storage
from pipeline.manifest import PICTURE_COLUMNS
from pipeline.outputs.schema import SCHEMA
from pipeline.storage import RangedFile


def commit(output: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write the rows of a finished batch as one Parquet file, whole or not at all, and return its URI.

    The file is named after the run and the rows' ids, fingerprints and outcomes, so that a batch which a run does twice
    overwrites itself.
    Secrets of URIs are left out.

    Args:
        output: of the run.
        rows: mappings of result columns; a column that is missing is null.

    Raises:
        StorageError: if it cannot be written.
    """
    clean = [
        {name: storage.without_secrets(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in rows
    ]
    table = pa.Table.from_pylist(clean, schema=SCHEMA)
    what = table.select(["id", "fingerprint", "status", "run"]).to_pylist()
    name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    part = layout.part_file(output, name)
    storage.write_bytes(part, buffer.getvalue())
    return part


def read_results(output: str, *, columns: Sequence[str] | None = None, ordered: bool = True) -> pa.Table:
    """Return the results of a run: one row for each id, that of the last run which computed it, ordered by id.

    Args:
        output: the folder given to the run.
        columns: only these, in this order; all by default.
        ordered: whether rows are ordered by id; any order is quicker.

    Raises:
        StorageError: if the folder has no results or a part cannot be read.
    """
    wanted = list(columns or SCHEMA.names)
    table = pa.concat_tables(read_parts(output, list(dict.fromkeys([*wanted, *ORDER]))).values())
    if not ordered and pc.count_distinct(table["id"]).as_py() == len(table):
        return table.select(wanted)
    return newest(table).select(wanted)


def read_parts(
    output: str,
    columns: Sequence[str],
    *,
    reduced: Callable[[str, pa.Table], pa.Table] | None = None,
    among: Collection[str] | None = None,
) -> dict[str, pa.Table]:
    """Return the rows of all files of results by the files' URIs, also while a run merges them into others.

    A file that is gone has its rows in another one by then, which the next listing has: so every row is read once its
    listing has nothing that is new. A row may be there several times: `places` tells which counts.

    Args:
        output: the folder given to the run.
        columns: of the rows.
        reduced: what is kept of some rows of a file, given its URI; called with those of one file in order, by several
            threads. Few rows of few files are in memory at once then. By default all is kept.
        among: only these files, as far as they are there; None: all.

    Raises:
        StorageError: if there are no results, or a file cannot be read.
    """
    read: dict[str, pa.Table] = {}
    for _ in range(LISTINGS):
        listed = parts(output)
        if not listed and not read:
            raise storage.StorageError(
                f"no results in {output}: expected {layout.results_folder(output)}/{layout.PARTS}"
            )
        new = [part for part in listed if part not in read and (among is None or part in among)]
        tables: dict[str, pa.Table | None] = {}
        for some, threads in _by_size(new, _AT_ONCE if reduced is None else 1 if "curve" in columns else _FEW_AT_ONCE):
            with ThreadPoolExecutor(threads) as pool:
                tables |= zip(some, pool.map(lambda part: _unless_gone(part, columns, reduced), some), strict=True)
        read |= {part: table for part in new if (table := tables[part]) is not None}
        if None not in tables.values():
            return read
    raise storage.StorageError(f"files of {layout.results_folder(output)} go while they are read: try again")


_AT_ONCE = 16
"""Files of results that are read at once: most of that is waiting."""

_FEW_AT_ONCE = 2
"""Full files that are read at once without curves, of which only a part is kept."""


def _by_size(listed: Sequence[str], full_at_once: int) -> list[tuple[list[str], int]]:
    """Return files that are small, and those that are full, each with how many of them may be read at once."""
    full = [part for part in listed if layout.is_full(part)]
    return [([part for part in listed if not layout.is_full(part)], _AT_ONCE), (full, full_at_once)]


LISTINGS = 20
"""How often results are listed while files go: each time a run that ended merged more of them."""


def _unless_gone(
    part: str, columns: Sequence[str], reduced: Callable[[str, pa.Table], pa.Table] | None
) -> pa.Table | None:
    """Return what is kept of a file of results, read as `read_part` does; None where it is gone."""
    try:
        if reduced is None:
            return read_part(part, columns)
        kept = pa.concat_tables([reduced(part, some) for some in _batches(part, columns)])
        return kept.unify_dictionaries().combine_chunks()  # few large pieces of memory instead of many small ones
    except storage.NotFound:
        return None


ORDER = ("id", "run", "status", "finished_at")
"""Columns that tell which of several rows of an id counts."""


def newest(table: pa.Table) -> pa.Table:
    """Return the row of each id that counts, ordered by id.

    Args:
        table: rows of results with the columns `ORDER` among others.
    """
    return table.take(places(table))


def places(table: pa.Table) -> pa.Array:
    """Return the places of the rows that count, one for each id, ordered by id.

    It is that of the last run. Where a run computed a row twice, since a process had crashed, one that has a picture
    counts, and of several the last to finish: clocks of different machines decide nothing else.

    Args:
        table: rows of results with the columns `ORDER` among others.
    """
    done = pc.is_in(table["status"], pa.array(["ok", "diverged"]))
    keys = pa.table(
        {
            "id": table["id"],
            "run": pc.fill_null(table["run"], 0),  # earlier versions did not number runs
            "done": pc.and_(done, pc.is_valid(table["run"])).cast(pa.int8()),
            "finished_at": table["finished_at"],
        }
    )
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])
    if len(order) < 2:
        return order
    ids = table["id"].take(order).combine_chunks()
    return order.filter(pa.concat_arrays([pc.not_equal(ids[1:], ids[:-1]), pa.array([True])]))


def parts(output: str) -> list[str]:
    """Return the URIs of the Parquet files of a run's results; none where there was no run."""
    try:
        return storage.list_files(layout.results_folder(output), suffix=".parquet")
    except storage.NotFound:
        return []


def read_part(part: str, columns: Sequence[str] = SCHEMA.names) -> pa.Table:
    """Return a Parquet file of results in today's schema; a column that an older version lacks is null.

    Raises:
        StorageError: if it cannot be read; the message says what to do.
    """
    with _explained(part):
        file, threads = _opened(part, columns)
        return _in_schema(file.read(columns=list(columns), use_threads=threads), columns)


BATCH = 4096
"""Rows of a file that are in memory at once where few of their bytes are kept."""


def _batches(part: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield a file of results in today's schema in pieces of at most `BATCH` rows; at least one piece."""
    with _explained(part):
        file, threads = _opened(part, columns, whole=False)
        names = [name for name in columns if name in file.schema_arrow.names]
        if not file.metadata.num_rows:
            yield _in_schema(file.schema_arrow.empty_table().select(names), columns)
        for group in range(file.num_row_groups):  # one after the other: what is fetched ahead is a whole group
            for batch in file.iter_batches(BATCH, row_groups=[group], columns=names, use_threads=threads):
                yield _in_schema(pa.Table.from_batches([batch]), columns)


@contextlib.contextmanager
def _explained(part: str) -> Iterator[None]:
    """Raise StorageError, with what to do, where a file of results cannot be read in this block."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, storage.StorageError):
            raise
        raise storage.StorageError(
            f"cannot read {part}: {error}. Delete it, and an archive's {layout.INDEX}, to have its rows done again."
        ) from error


def _in_schema(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return rows of any version in today's schema, without secrets of URIs."""
    for name in columns:
        if name not in table.column_names:
            table = table.append_column(SCHEMA.field(name), pa.nulls(len(table), SCHEMA.field(name).type))
    table = table.select(list(columns)).cast(pa.schema([SCHEMA.field(name) for name in columns]))
    for place, name in enumerate(columns):
        if name in _WITH_URIS and pc.any(pc.match_substring_regex(table[name], _SUSPECT)).as_py():
            texts = [None if text is None else storage.without_secrets(text) for text in table[name].to_pylist()]
            table = table.set_column(place, SCHEMA.field(name), pa.array(texts, pa.string()))
    return table


_WITH_URIS = frozenset((*PICTURE_COLUMNS, "params", "error", "output", "manifest"))
"""Columns in which older results may have secrets of URIs, which are left out when they are read."""

_SUSPECT = r"://.*[?@]"
"""What a text has in it that may have secrets."""


def _opened(part: str, columns: Sequence[str], *, whole: bool = True) -> tuple[pq.ParquetFile, bool]:
    """Return a file of results, opened, and whether threads of Arrow's are to decode it.

    Nearly all bytes of a full file are its curves: where they are not wanted, only other columns are read, ahead of
    their decoding. Of others, which commands read that soon end, Arrow's threads get nothing: one that gave memory back
    to Python while the process ends would abort it.

    Args:
        part: the file.
        columns: that are wanted.
        whole: whether all rows are, at once.
    """
    full = layout.is_full(part)
    if full and not (whole and "curve" in columns):
        return pq.ParquetFile(RangedFile(part), pre_buffer=True), True
    data = storage.read_bytes(part)
    return (pq.ParquetFile(io.BytesIO(data), pre_buffer=True) if full else storage.parquet_file(data)), full
