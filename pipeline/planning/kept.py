"""The plan of a large run as it lies in its output, where the run reads it file by file, and the next one finds it.

Who begins the run again finds in it the rows of the manifest, which need not be read and checked again while all that
they follow from is as it was, and the shapes of outputs, for which headers of pictures were read. What is done, which
pictures have changed, what crashed and what actors can hold is looked at anew each time: batches are cut from that.
"""

import dataclasses
import hashlib
import io
import json
import logging
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import layout, storage
from pipeline.manifest import Duplicate, Manifest, Origin, Row, Rows
from pipeline.options import Decoding
from pipeline.planning.batch import Batch
from pipeline.planning.batches import Batches, BatchRange
from pipeline.planning.plan import Plan
from pipeline.planning.plan_files import FILE, batches_of, left_out_table, planned_table, rows_of
from pipeline.process import garbage

VERSION = 2

WORTH_KEEPING = 100_000
"""Rows from which on a plan is kept: fewer are planned as soon."""

ROWS_OF_A_FILE = 25_000
"""Rows in a file of a plan: as many as a run has in memory at a time, at about a kilobyte each."""

MAX_DUPLICATES = 10_000
"""Rows that repeat others up to which the rows of a manifest are kept; with more, they are read again."""

log = logging.getLogger(__name__)


def kept_batches(work: Plan, rows: Sequence[Row], output: str, decoding: Decoding) -> Sequence[Batch]:
    """Return the batches of a plan; of a large one, as they lie in its output from now on.

    Only the holder of the run lock may call it.

    Args:
        work: the plan.
        rows: that it was made for.
        output: of the run.
        decoding: what decoding a picture may take, by which shapes were found.

    Raises:
        StorageError: if it cannot be written.
    """
    if not isinstance(rows, Rows) or not rows.origin or not work.rows or len(rows) < WORTH_KEEPING:
        return work.batches
    origin = rows.origin
    earlier = _files_there(output)
    digests, counts = [], []
    for table, batches in _tables(work):
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()[:16]
        if (uri := layout.plan_file(output, digest)) not in earlier:
            storage.write_bytes(uri, buffer.getvalue())
        digests.append(digest)
        counts.append(batches)
    # Rows whose pictures have the names of earlier versions are not those of the manifest.
    are_whole = work.batches.planned.rows.table is rows.table and len(origin.duplicates) <= MAX_DUPLICATES
    index = {
        "version": VERSION,
        "origin": origin.digest if are_whole else "",
        "encoder_sha256": work.left_out.encoder_sha256,
        "decoding": decoding.model_dump(mode="json"),
        "remarks": origin.remarks,
        "duplicates": [list(dataclasses.astuple(each)) for each in origin.duplicates[:MAX_DUPLICATES]],
        "files": digests,
        "batches": counts,
    }
    storage.write_bytes(layout.plan_index(output), json.dumps(index, indent=1).encode())
    old = earlier - {layout.plan_file(output, digest) for digest in digests}
    storage.remove_files(layout.plan_folder(output), [uri.rpartition("/")[2] for uri in old])
    return _Kept(output, digests, counts, work.left_out.encoder_sha256)


def kept_manifest(output: str, origin: str, decoding: Decoding) -> Manifest | None:
    """Return the manifest of which an output has a plan; None if there is none of what these rows follow from.

    Args:
        output: of runs.
        origin: digest of what rows follow from.
        decoding: what decoding a picture may take; with another one, shapes are not what they were.
    """
    try:
        index = json.loads(storage.read_bytes(layout.plan_index(output)))
        if index["version"] != VERSION or index["origin"] != origin:
            return None
        tables = (_read(output, digest) for digest in index["files"])
        is_same = index["decoding"] == decoding.model_dump(mode="json")
        rows = rows_of(tables, index["encoder_sha256"], earlier=is_same)
        duplicates, remarks = [Duplicate(*each) for each in index["duplicates"]], tuple(index["remarks"])
    except storage.NotFound:  # there is none, or a run is replacing it
        return None
    except (storage.StorageError, pa.ArrowException, LookupError, TypeError, ValueError) as error:
        log.warning("the plan in %s cannot be read, and so the manifest is: %s", storage.without_secrets(output), error)
        return None
    garbage.give_back()
    rows.origin = Origin(origin, duplicates, remarks)
    return Manifest(rows, duplicates, remarks)


def _files_there(output: str) -> set[str]:
    """Return the URIs of the files of plans that are in an output."""
    try:
        listed = storage.list_files(layout.plan_folder(output), suffix=".parquet")
    except storage.NotFound:
        return set()
    return {uri for uri in listed if layout.is_written_by_runs(output, uri)}


def _tables(work: Plan) -> Iterator[tuple[pa.Table, int]]:
    """Yield the files of a plan, and how many batches each has; rows that have nothing to compute come last."""
    first = 0
    for spans in _cut(work.batches.ranges):
        count = sum(span.batches for span in spans)
        yield planned_table(work.batches.planned, spans, first), count
        first += count
    for start in range(0, len(work.left_out), ROWS_OF_A_FILE):
        yield left_out_table(work.left_out[start : start + ROWS_OF_A_FILE]), 0


def _cut(ranges: Sequence[BatchRange]) -> Iterator[list[BatchRange]]:
    """Yield ranges of batches, cut such that together they have about as many rows as a file."""
    spans: list[BatchRange] = []
    room = ROWS_OF_A_FILE
    for span in ranges:
        while span.batches:
            fit = min(span.batches, max(room // span.length, 0 if spans else 1))
            spans += [span._replace(batches=fit)] if fit else []
            room -= fit * span.length
            span = span._replace(start=span.start + fit * span.length, batches=span.batches - fit)
            if span.batches:
                yield spans
                spans, room = [], ROWS_OF_A_FILE
    if spans:
        yield spans


def _read(output: str, digest: str) -> pa.Table:
    """Return a file of a plan, in whose place no other one is taken."""
    data = storage.read_bytes(layout.plan_file(output, digest))
    if hashlib.sha256(data).hexdigest()[:16] != digest:
        raise ValueError(f"{digest} is not what was written")
    return pq.read_table(pa.BufferReader(data), columns=FILE.names, read_dictionary=["style", "file", "params"])


class _Kept(Sequence[Batch]):
    """The batches of a plan that lies in an output, one or two files of which are in memory."""

    def __init__(self, output: str, digests: Sequence[str], counts: Sequence[int], encoder_sha256: str) -> None:
        self._ends = np.cumsum(counts)

        def batches(number: int) -> Batches:
            return batches_of(_read(output, digests[number]), encoder_sha256)

        self._batches = lru_cache(maxsize=2)(batches)

    def __len__(self) -> int:
        return int(self._ends[-1])

    @overload
    def __getitem__(self, place: int) -> Batch: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Batch]: ...

    def __getitem__(self, place: int | slice) -> Batch | Sequence[Batch]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        place = range(len(self))[place]
        number = int(np.searchsorted(self._ends, place, side="right"))
        batches = self._batches(number)
        return batches[place - int(self._ends[number]) + len(batches)]
