"""The index of an archive's output, index.parquet: which photo became which picture, and what is done.

While a run goes on, the rows that it has begun lie in files beside the index, one for each slice: it is written whole
once a run.
"""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.archives.rows import PhotoRow, digest
from pipeline.outputs import layout, parts, read_results

_DOCUMENTED: Sequence[tuple[str, pa.DataType, str]] = (
    ("original", pa.string(), "URI of the photo"),
    ("path", pa.string(), "of the photo, below the archive's root"),
    ("size", pa.int64(), "of the photo, bytes, when work on it began"),
    ("modified", pa.timestamp("us", tz="UTC"), "when the photo was last changed, as of when work on it began"),
    (
        "identity",
        pa.string(),
        "what changes with the photo: its ETag, or its size and time of change, when work on it began",
    ),
    ("style", pa.string(), "name of the style"),
    ("style_uri", pa.string(), "URI of the style picture"),
    ("id", pa.string(), "of the row in the results"),
    ("fingerprint", pa.string(), "of photo, style, parameters, encoder and algorithm, as in the results"),
    ("status", pa.string(), "as in the results; pending: work on it began, and its run broke off"),
    ("error", pa.string(), "what went wrong"),
    ("output", pa.string(), "URI of the result"),
    ("output_name", pa.string(), "name of the result below images/"),
    ("finished_at", pa.timestamp("us", tz="UTC"), "when it came to its status"),
)
SCHEMA = pa.schema(
    [pa.field(name, kind, metadata={"doc": doc}) for name, kind, doc in _DOCUMENTED],
    metadata={"nst_index_version": "1"},
)
"""The schema of the index; what a column holds is in its field's metadata under `doc`."""

ROWS_AT_ONCE = 65_536
"""Rows of the index that are in memory at once."""

_Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]


def read_index(output: str) -> pa.Table:
    """Return the index: one row for each photo and style that was ever requested; empty where there was no run yet.

    Raises:
        StorageError: if it cannot be read.
    """
    return pa.Table.from_batches(_batches(output, SCHEMA.names), schema=SCHEMA)


class Known:
    """The rows of an index that the next run needs, stored in 32 bytes each.

    Attributes:
        given: how many photos have each style.
    """

    def __init__(self, output: str, *, styles: bool = False) -> None:
        """Read the index of an output.

        Args:
            output: whose index.
            styles: whether `style_of` is needed, for which more has to be kept.

        Raises:
            StorageError: if it cannot be read.
        """
        self.output = output
        done: list[_Hashes] = []
        ids: list[_Hashes] = []
        originals: list[_Hashes] = []
        paths: list[_Hashes] = []
        names: list[str] = []
        self.given: Counter[str] = Counter()
        before = 0  # rows that have gone by
        for batch in _batches(output, ["id", "original", "path", "style", "fingerprint", "status"]):
            _check_digests(output, batch, before)
            before += batch.num_rows
            ids.append(_hashes(batch["id"].to_pylist()))
            originals.append(_hashes([_place_of(uri) for uri in batch["original"].to_pylist()]))
            kept = batch.filter(pc.is_in(batch["status"], pa.array(["ok", "diverged"])))
            done.append(_hashes(kept["fingerprint"].to_pylist()))
            if styles:
                paths.append(_hashes([digest(path) for path in batch["path"].to_pylist()]))
                names += batch["style"].to_pylist()
        order = np.argsort(known := np.concatenate([*ids, _hashes([])]), kind="stable")
        self._ids, self._originals = known[order], np.concatenate([*originals, _hashes([])])[order]
        self._done = np.sort(np.concatenate([*done, _hashes([])]))
        every = np.concatenate([*paths, _hashes([])])
        order = np.argsort(every, kind="stable")
        self._paths = every[order]
        self.given.update(names)
        self._names = sorted(self.given)
        places = {name: place for place, name in enumerate(self._names)}
        self._styles = np.array([places[name] for name in names], dtype=np.int32)[order]

    def is_done(self, fingerprint: str) -> bool:
        """Return whether the row with this fingerprint has a picture, and nothing that decides it has changed."""
        return _find(self._done, int(fingerprint, 16)) is not None

    def check_own(self, one: PhotoRow) -> None:
        """Raise if another photo that still exists, of another archive, has its result where this row's would be.

        Args:
            one: the row.

        Raises:
            ValueError: if there is such a photo.
        """
        place, own = _find(self._ids, int(one.row.id, 16)), _place_of(one.photo.entry.uri)
        if place is None or int(self._originals[place]) == int(own, 16):
            return
        for batch in _batches(self.output, ["id", "original"]):
            for other in batch.filter(pc.equal(batch["id"], one.row.id))["original"].to_pylist():
                if _place_of(other) != own and _exists(other):
                    raise ValueError(
                        f"output {self.output} has the result of {other} in the place of {one.photo.entry.uri}'s: "
                        "expected another output for another archive, or the folder above both as one archive"
                    )

    def style_of(self, path: str) -> str | None:
        """Return the style that the photo at this path has; None where it is not known."""
        place = _find(self._paths, int(digest(path), 16))
        return None if place is None else self._names[self._styles[place]]


def _place_of(uri: str) -> str:
    """Return a hash of where a photo is, equal for all places to which a working folder is unpacked on a cluster."""
    return digest(storage.lasting(storage.without_secrets(uri)))


def _exists(uri: str) -> bool:
    """Return whether there is a file at a URI."""
    try:
        return bool(storage.identity(uri))
    except (storage.NotFound, storage.WrongKind):
        return False


_DIGEST = "[0-9a-f]{16}"


def _check_digests(output: str, batch: pa.RecordBatch, before: int) -> None:
    """Check that ids and fingerprints of some rows of the index are such.

    Args:
        output: whose index.
        batch: the rows.
        before: how many rows of the index precede them.

    Raises:
        StorageError: with the first that is none.
    """
    for name in ("id", "fingerprint"):
        fits = pc.fill_null(pc.match_substring_regex(batch[name], f"^{_DIGEST}$"), False)
        place = pc.index(fits, False).as_py()
        if place >= 0:
            value = batch[name][place].as_py()
            raise _unreadable(output, f"row {before + place + 1}: {name} = {value!r:.80}, expected 16 hex digits")


def _unreadable(output: str, reason: object) -> storage.StorageError:
    """Return the error of an index that cannot be used."""
    advice = "delete it to have it made anew: what is done stays done"
    return storage.StorageError(f"cannot read {layout.index_file(output)}: {reason}; {advice}")


def _hashes(digests: Sequence[str]) -> _Hashes:
    """Return texts of 16 hex digits as 64-bit numbers."""
    return np.array([int(digest, 16) for digest in digests], dtype=np.uint64)


def _find(hashes: _Hashes, wanted: int) -> int | None:
    """Return the place of a number in sorted ones; None if it is not there."""
    place = int(np.searchsorted(hashes, np.uint64(wanted)))
    return place if place < len(hashes) and int(hashes[place]) == wanted else None


def begin(output: str, number: int, rows: Sequence[tuple[PhotoRow, str]]) -> None:
    """Write rows that will be computed beside the index, as pending; they take the place of entries with their ids.

    Args:
        output: whose index.
        number: another one for each call of a run.
        rows: with their fingerprints.

    Raises:
        StorageError: if they cannot be written.
    """
    table = pa.Table.from_pylist([_entry(*each) for each in rows], schema=SCHEMA)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    storage.write_bytes(layout.index_part(output, number), buffer.getvalue())


def settle(output: str) -> None:
    """Give pending rows the outcomes that the results have for them, and make the index one file again.

    The file is written whole before what it replaces is deleted; it is read and written in parts, so that an index of
    any size fits into memory.

    Raises:
        StorageError: if something cannot be read or written; then nothing is lost.
    """
    if not (waiting := _parts(output)):
        return
    results = read_results(output, columns=_OUTCOMES, ordered=False) if parts(output) else None
    _rewrite(output, (_with_outcomes(batch, results) for batch in _batches(output, SCHEMA.names)), waiting)


_OUTCOMES = ("id", "fingerprint", "status", "error", "output", "finished_at")
"""Columns of the results that tell what became of a row."""


def _with_outcomes(batch: pa.RecordBatch, results: pa.Table | None) -> pa.RecordBatch:
    """Return rows of the index; pending ones get the outcome of their request, if there is one."""
    if results is None:
        return batch
    place = pc.index_in(batch["id"], results["id"].combine_chunks())
    outcomes = results.take(place)
    pending = pc.equal(batch["status"], "pending")
    settled = pc.fill_null(pc.and_(pending, pc.equal(outcomes["fingerprint"], batch["fingerprint"])), False)
    for name in _OUTCOMES[2:]:
        field = SCHEMA.field(name)
        column = pc.if_else(settled, outcomes[name].cast(field.type), batch[name])
        batch = batch.set_column(SCHEMA.get_field_index(name), field, pa.chunked_array(column).combine_chunks())
    return batch


def _rewrite(output: str, batches: Iterable[pa.RecordBatch], waiting: Sequence[str]) -> None:
    """Write the index whole, and then delete what waited beside it."""
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, SCHEMA, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
    storage.write_bytes(layout.index_file(output), buffer.getvalue())
    for part in waiting:
        storage.remove(part)


def remove(output: str, ids: Sequence[str]) -> None:
    """Take the entries with these ids out of the index.

    Raises:
        StorageError: if it cannot be read or written; then the old one is still there.
    """
    leaving = pa.array(ids, pa.string())
    staying = (batch.filter(pc.invert(pc.is_in(batch["id"], leaving))) for batch in _batches(output, SCHEMA.names))
    _rewrite(output, staying, _parts(output))


def _entry(one: PhotoRow, fingerprint: str) -> dict[str, object]:
    """Return the index entry of a photo's row that will be computed."""
    photo, row = one.photo, one.row
    entry = {
        "original": photo.entry.uri,
        "path": photo.path,
        "size": photo.entry.size,
        "modified": photo.entry.modified,
        "identity": photo.entry.identity,
        "style": one.style,
        "style_uri": row.style,
        "id": row.id,
        "fingerprint": fingerprint,
        "status": "pending",
        "output_name": row.output,
    }
    return {name: storage.each_text(value) for name, value in entry.items()}


def _parts(output: str) -> list[str]:
    """Return the files that wait beside the index."""
    try:
        return storage.list_files(layout.index_folder(output), suffix=".parquet")
    except storage.NotFound:
        return []


def _batches(output: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield columns of the index in parts, what waits beside it first; nothing where there is no index.

    A row that waits takes the place of the one with its id; no two that wait have one id.
    """
    newer: list[pa.Array] = []
    for part in _parts(output):
        for batch in _read(output, part, list(dict.fromkeys([*columns, "id"]))):
            newer.append(batch["id"])
            yield batch.select(list(columns))
    replaced = pa.concat_arrays(newer) if newer else None
    for batch in _read(output, layout.index_file(output), list(dict.fromkeys([*columns, "id"]))):
        kept = batch if replaced is None else batch.filter(pc.invert(pc.is_in(batch["id"], replaced)))
        yield kept.select(list(columns))


def _read(output: str, uri: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield columns of a file of the index in parts; nothing where it is not there."""
    try:
        data = storage.read_bytes(uri)
    except storage.NotFound:
        return
    try:
        file = storage.parquet_file(data)
        if missing := [name for name in columns if name not in file.schema_arrow.names]:
            raise _unreadable(output, f"expected the columns {', '.join(missing)} too")
        yield from file.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(columns), use_threads=False)
    except storage.StorageError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(output, error) from error
