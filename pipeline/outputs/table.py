"""What happened: the schema of the results, commit of a batch, reading back, a summary."""

import hashlib
import io
import json
import socket
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.storage import operations as storage
from pipeline.storage.ranged_file import RangedFile

Status = Literal["ok", "failed", "diverged", "quarantined"]
STATUSES: tuple[str, ...] = get_args(Status)

SCHEMA_VERSION = 4

_DOCUMENTED: Sequence[tuple[str, pa.DataType, str]] = (
    ("id", pa.string(), "the row's own, or derived from its meaning"),
    ("fingerprint", pa.string(), "of what was asked: pictures as they were, parameters, encoder, algorithm version"),
    ("content", pa.string(), "URI of the content picture"),
    ("style", pa.string(), "URI of the style picture"),
    ("params", pa.string(), "every parameter, resolved, as JSON"),
    (
        "status",
        pa.string(),
        "ok, failed, diverged (a loss stopped being finite; the best iterate was kept) "
        "or quarantined (its process died again and again)",
    ),
    ("error_class", pa.string(), "what kind of error, of a failed or quarantined row"),
    ("error", pa.string(), "what went wrong and what to do, of a failed or quarantined row"),
    ("output", pa.string(), "URI of the picture; it was whole before this row was written"),
    ("output_name", pa.string(), "the picture's name below images/, of any row"),
    ("width", pa.int32(), "of the output, pixels"),
    ("height", pa.int32(), "of the output, pixels"),
    ("iterations", pa.int32(), "loss evaluations made, over all scales"),
    ("total_loss", pa.float64(), "of the picture: alpha * content + beta * style + the other terms (eq. 7)"),
    ("content_loss", pa.float64(), "of the picture, before its weight"),
    ("style_loss", pa.float64(), "of the picture, before its weight"),
    (
        "curve",
        pa.struct(
            [
                ("iteration", pa.list_(pa.int32())),
                ("total", pa.list_(pa.float32())),
                ("content", pa.list_(pa.float32())),
                ("style", pa.list_(pa.float32())),
                ("style_layers", pa.map_(pa.string(), pa.list_(pa.float32()))),
            ]
        ),
        "losses at every iteration of every scale, in order",
    ),
    (
        "seconds",
        pa.struct([("fetch", pa.float64()), ("optimise", pa.float64()), ("write", pa.float64())]),
        "by stage; optimise is the row's share of its batch",
    ),
    ("idle_seconds", pa.float64(), "that the actor had nothing to do before the batch; the row's share"),
    (
        "retries",
        pa.int32(),
        "requests to storage that were repeated for it; those for its whole batch are told with the first row of that",
    ),
    ("seed", pa.int64(), "of the white noise"),
    ("encoder", pa.string(), "name of the weights"),
    ("encoder_sha256", pa.string(), "of the weights' file"),
    ("versions", pa.string(), "of the packages that computed it, as JSON"),
    ("host", pa.string(), "where it was computed"),
    ("device", pa.string(), "what computed it, such as cpu or the name of a GPU"),
    ("precision", pa.string(), "what its convolutions were computed in: fp32, tf32 or bf16"),
    ("started_at", pa.timestamp("us", tz="UTC"), "when its batch was taken up"),
    ("finished_at", pa.timestamp("us", tz="UTC"), "when its picture was whole, or it had failed"),
    ("manifest", pa.string(), "file that asked for it"),
    ("manifest_row", pa.int64(), "line or row number in that file"),
)

SCHEMA = pa.schema(
    [pa.field(name, kind, metadata={"doc": doc}) for name, kind, doc in _DOCUMENTED],
    metadata={"nst_results_version": str(SCHEMA_VERSION)},
)
"""The results table. A column's meaning is in its field's metadata under `doc`."""


@cache
def versions() -> Mapping[str, str]:
    """Of the packages that decide what a picture looks like; `source` for this one where it is not installed."""

    def of(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "source"

    return MappingProxyType({name: of(name) for name in ("nst-pipeline", "torch", "pillow", "ray")})


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def now() -> datetime:
    """UTC."""
    return datetime.now(UTC)


def images_folder(output: str) -> str:
    """Where the pictures of a run are."""
    return storage.join(output, "images")


def picture_of(output: str, row: Mapping[str, Any]) -> str:
    """The URI of a row's picture where the output is now: it may have been copied since."""
    name = row.get("output_name")
    return storage.join(images_folder(output), name) if name else str(row["output"])


def results_folder(output: str) -> str:
    """Where the Parquet parts of a run are."""
    return storage.join(output, "results")


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
    part = storage.join(results_folder(output), f"part-{name}.parquet")
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
            raise storage.StorageError(f"no results in {output}: expected {results_folder(output)}/*.parquet")
        try:
            with ThreadPoolExecutor(16) as pool:
                tables = list(pool.map(lambda part: read_part(part, read), found))
        except storage.StorageError as error:
            # A run that ends merges its parts under our eyes: what is gone is in another file by now.
            if attempt + 1 < READINGS and isinstance(error.__cause__, FileNotFoundError):
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
        return storage.list_files(results_folder(output), suffix=".parquet")
    except storage.StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return []
        raise


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
            f"cannot read {part}: {error}. Delete it, and an archive's index.parquet, to have its rows done again."
        ) from error
    for name in columns:
        if name not in table.column_names:
            table = table.append_column(SCHEMA.field(name), pa.nulls(len(table), SCHEMA.field(name).type))
    return table.select(list(columns)).cast(pa.schema([SCHEMA.field(name) for name in columns]))


def _opened(part: str, columns: Sequence[str]) -> io.IOBase:
    """A part to be read: nearly all of a full one are its curves, so that where they are not asked for, it is not read
    whole."""
    is_full = part.rpartition("/")[2].startswith(FULL)
    return RangedFile(part) if is_full and "curve" not in columns else io.BytesIO(storage.read_bytes(part))


FULL = "rows-"
"""What the names of files begin with that have grown to their full size."""


@dataclass(frozen=True)
class Finished:
    """What needs no repeating.

    Attributes:
        fingerprints: by id, of rows that are `ok` or `diverged`.
        owners: id by output name below images/, of the same.
        quarantined: fingerprints by id, of rows that are not tried again until somebody says so.
    """

    fingerprints: Mapping[str, str]
    owners: Mapping[str, str]
    quarantined: Mapping[str, str] = field(default_factory=dict)


def finished(output: str) -> Finished:
    """What is done in an output; nothing where there are no results yet."""
    if not parts(output):
        return Finished({}, {})
    table = read_results(output, columns=["id", "fingerprint", "status", "output_name"], ordered=False)
    if table["output_name"].null_count:  # rows of the first schema have none
        table = read_results(output, columns=["id", "fingerprint", "status", "output_name", "output"])
    done = table.filter(pc.is_in(table["status"], pa.array(["ok", "diverged"])))
    held = table.filter(pc.equal(table["status"], "quarantined"))
    ids, names = done["id"].to_pylist(), done["output_name"].to_pylist()
    if None in names:
        folder, pictures = images_folder(output) + "/", done["output"].to_pylist()
        names = [name or str(uri).removeprefix(folder) for name, uri in zip(names, pictures, strict=True)]
    return Finished(
        dict(zip(ids, done["fingerprint"].to_pylist(), strict=True)),
        dict(zip(names, ids, strict=True)),
        dict(zip(held["id"].to_pylist(), held["fingerprint"].to_pylist(), strict=True)),
    )
