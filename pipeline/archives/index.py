"""OUTPUT/index.parquet: which original became what. It tells a later run what is new, and people where to look."""

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.archives.rows import Asked, digest
from pipeline.outputs import layout, read_results

_DOCUMENTED: Sequence[tuple[str, pa.DataType, str]] = (
    ("original", pa.string(), "URI of the photo"),
    ("path", pa.string(), "of the photo, below the archive's root"),
    ("size", pa.int64(), "of the photo, bytes, as it was when it was taken up"),
    ("modified", pa.timestamp("us", tz="UTC"), "when the photo was last changed, likewise"),
    ("identity", pa.string(), "what changes with the photo, its ETag or size and time of change, likewise"),
    ("style", pa.string(), "name of the style"),
    ("style_uri", pa.string(), "URI of the style picture"),
    ("id", pa.string(), "of the row in the results"),
    ("fingerprint", pa.string(), "of photo, style, parameters, encoder and algorithm, as in the results"),
    ("status", pa.string(), "as in the results; pending: it was taken up, and its run broke off"),
    ("error", pa.string(), "what went wrong"),
    ("output", pa.string(), "URI of the result"),
    ("output_name", pa.string(), "name of the result below images/"),
    ("finished_at", pa.timestamp("us", tz="UTC"), "when it came to its status"),
)
SCHEMA = pa.schema(
    [pa.field(name, kind, metadata={"doc": doc}) for name, kind, doc in _DOCUMENTED],
    metadata={"nst_index_version": "1"},
)
"""The index. A column's meaning is in its field's metadata under `doc`."""

ROWS_AT_ONCE = 65_536

_Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]


def read_index(output: str) -> pa.Table:
    """One row for each photo and style that was ever asked for; empty where there was no run yet.

    Raises:
        StorageError: if it cannot be read.
    """
    return pa.Table.from_batches(_batches(output, SCHEMA.names), schema=SCHEMA)


class Known:
    """What an index tells the next run, in 32 bytes for each row.

    Attributes:
        given: how many photos have each style.
    """

    def __init__(self, output: str, *, styles: bool = False) -> None:
        """Read it; which photo has which style only if that is needed.

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
        for batch in _batches(output, ["id", "original", "path", "style", "fingerprint", "status"]):
            ids.append(_hashes(batch["id"].to_pylist()))
            originals.append(_hashes([digest(uri) for uri in batch["original"].to_pylist()]))
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
        """Whether this came to a picture, and nothing that decides it has changed."""
        return _find(self._done, int(fingerprint, 16)) is not None

    def check_own(self, one: Asked) -> None:
        """Find out whether the place of a row's result is that of another photo, of another archive, that still exists.

        Raises:
            ValueError: if so.
        """
        place = _find(self._ids, int(one.row.id, 16))
        if place is None or int(self._originals[place]) == int(digest(one.photo.entry.uri), 16):
            return
        for batch in _batches(self.output, ["id", "original"]):
            for other in batch.filter(pc.equal(batch["id"], one.row.id))["original"].to_pylist():
                if _exists(other):
                    raise ValueError(
                        f"output {self.output} has the result of {other} in the place of {one.photo.entry.uri}'s: "
                        "expected another output for another archive, or the folder above both as one archive"
                    )

    def style_of(self, path: str) -> str | None:
        """The style that the photo at this path has."""
        place = _find(self._paths, int(digest(path), 16))
        return None if place is None else self._names[self._styles[place]]


def _exists(uri: str) -> bool:
    try:
        return bool(storage.identity(uri))
    except (storage.NotFound, storage.WrongKind):
        return False


def _hashes(digests: Sequence[str]) -> _Hashes:
    return np.array([int(digest, 16) for digest in digests], dtype=np.uint64)


def _find(hashes: _Hashes, wanted: int) -> int | None:
    place = int(np.searchsorted(hashes, np.uint64(wanted)))
    return place if place < len(hashes) and int(hashes[place]) == wanted else None


def update(output: str, asked: Sequence[tuple[Asked, str]], *, outcomes: Mapping[str, Mapping[str, object]]) -> None:
    """Put rows into an index, in the place of what it said of them before; all other rows stay.

    The file is written whole, from one part of it to the next, so that an index of any size fits.

    Args:
        output: whose index.
        asked: rows with their fingerprints.
        outcomes: by id, of those that came to an end, the columns that `results` has too.

    Raises:
        StorageError: if it cannot be read or written; then the old one is still there.
    """
    fresh = pa.array([each.row.id for each, _ in asked], pa.string())
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, SCHEMA, compression="zstd") as writer:
        for batch in _batches(output, SCHEMA.names):
            writer.write_batch(batch.filter(pc.invert(pc.is_in(batch["id"], fresh))))
        for start in range(0, len(asked), ROWS_AT_ONCE):
            rows = [_entry(*each, outcomes) for each in asked[start : start + ROWS_AT_ONCE]]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
    storage.write_bytes(layout.index_file(output), buffer.getvalue())


def _entry(asked: Asked, fingerprint: str, outcomes: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    photo, row = asked.photo, asked.row
    outcome = outcomes.get(row.id, {"status": "pending"})
    return {
        "original": photo.entry.uri,
        "path": photo.path,
        "size": photo.entry.size,
        "modified": photo.entry.modified,
        "identity": photo.entry.identity,
        "style": asked.style,
        "style_uri": row.style,
        "id": row.id,
        "fingerprint": fingerprint,
        "output_name": row.output,
        **{name: outcome.get(name) for name in ("status", "error", "output", "finished_at")},
    }


def outcomes_of(output: str, asked: Sequence[tuple[Asked, str]]) -> dict[str, dict[str, object]]:
    """By id, what the results say of rows.

    Raises:
        StorageError: if there are no results, or they cannot be read.
    """
    table = read_results(output, columns=["id", "status", "error", "output", "finished_at"])
    wanted = pc.is_in(table["id"], pa.array([each.row.id for each, _ in asked], pa.string()))
    return {row["id"]: row for row in table.filter(wanted).to_pylist()}


def _batches(output: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The index part by part; nothing where there is none."""
    try:
        data = storage.read_bytes(layout.index_file(output))
    except storage.NotFound:
        return
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        yield from file.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        advice = "delete it to have it made anew: what is done stays done"
        raise storage.StorageError(f"cannot read {layout.index_file(output)}: {error}; {advice}") from error
