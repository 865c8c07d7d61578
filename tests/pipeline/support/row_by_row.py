"""Planning row by row, as it was before rows were columns: the reference that the plan by columns is held against."""

import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from nst_kernel.version import ALGORITHM_VERSION
from pipeline import storage
from pipeline.manifest import Row, derive_id, former_output, name_in_fingerprint
from pipeline.planning import NO_CRASHES, Batch, Failure, History, Identities, Limits, PlannedRow, cost
from pipeline.planning.buckets import _too_large
from pipeline.planning.crashes import quarantine_failure
from pipeline.planning.cutting import FAILED_ROWS_TOGETHER
from pipeline.planning.fingerprint import UNKNOWN, same_request
from pipeline.planning.limits import ASSUMED_MEMORY


def plan_row_by_row(
    rows: Sequence[Row],
    *,
    encoder_sha256: str,
    history: History,
    limits: Limits,
    shape_of: Callable[[Sequence[Row]], list[tuple[int, int] | Failure]],
    identify: Callable[[Sequence[str]], Identities],
) -> tuple[list[Batch], int, int]:
    """Return the batches of a plan, and how many rows are done and quarantined; arguments are those of `plan`."""
    identities = identify(list(dict.fromkeys(uri for row in rows for uri in row.uris())))
    remaining, done, quarantined = _remaining(rows, encoder_sha256, identities, history)
    if not remaining:
        return [], done, quarantined
    remaining.sort(key=lambda each: (each[0].style or "", each[0].content or "", each[0].id))
    shapes = shape_of([row for row, _ in remaining])
    buckets, failed = _buckets_of(remaining, shapes, history, limits)
    return list(_cut(buckets, failed, limits)), done, quarantined


def _remaining(
    rows: Sequence[Row], encoder_sha256: str, identities: Identities, history: History
) -> tuple[list[tuple[Row, str]], int, int]:
    """Return the rows to compute with their fingerprints, and how many others are done and quarantined."""
    remaining: list[tuple[Row, str]] = []
    done = quarantined = 0
    for row in rows:
        current = fingerprint(row, encoder_sha256, identities)
        if history.quarantined.get(row.id) == current:
            quarantined += 1
        elif _is_done(row, current, history.finished.get(row.id), identities) and _has_frames(row, history):
            done += 1
        else:
            remaining.append((_in_its_place(row, history), current))
    return remaining, done, quarantined


def _in_its_place(row: Row, history: History) -> Row:
    """Return a row with the name that its picture has, where an earlier version named it: it is written over there."""
    former = former_output(row.id)
    if row.output != former == name_in_fingerprint(row.output, row.id) and history.owners.get(former) == row.id:
        return dataclasses.replace(row, output=former)
    return row


def _is_done(row: Row, current: str, earlier: str | None, identities: Identities) -> bool:
    """Tell whether a row need not be computed, given its fingerprint now and that of an earlier result."""
    if earlier is None or earlier == current:
        return earlier == current
    unknown = any(isinstance(identities[uri], storage.StorageError) for uri in row.uris())
    return unknown and same_request(earlier, current)


def _has_frames(row: Row, history: History) -> bool:
    """Tell whether a row that is done has the pictures on the way that it asks for."""
    if not row.params.save_every:
        return True
    animation = history.framed.get(row.id)
    return animation is not None and row.params.animation in ("none", animation)


def _buckets_of(
    remaining: Sequence[tuple[Row, str]],
    shapes: Sequence[tuple[int, int] | Failure],
    history: History,
    limits: Limits,
) -> tuple[list[list[PlannedRow]], list[PlannedRow]]:
    """Return buckets of equal output shape and settings, and the rows that fail at planning; both keep the order."""
    buckets: list[list[PlannedRow]] = []
    failed: list[PlannedRow] = []
    kinds: dict[tuple[object, ...], tuple[list[PlannedRow], Failure | None]] = {}  # rows are many, kinds few
    for (row, fingerprint), shape in zip(remaining, shapes, strict=True):
        # A row that is quarantined, or has no output shape, fails whatever its kind is.
        crashes = history.crashes.get((row.id, fingerprint), NO_CRASHES)
        if crashes.should_quarantine(history.max_attempts):
            failed.append(PlannedRow(row, fingerprint, None, quarantine_failure(row.id, crashes)))
            continue
        if isinstance(shape, Failure):
            failed.append(PlannedRow(row, fingerprint, None, shape))
            continue
        # Rows of one kind share their shape and settings, and so whether an actor can hold them.
        kind = (shape, row.params.graph)
        if kind not in kinds:
            kinds[kind] = [], _too_large(row.params, shape, limits)
        bucket, too_large = kinds[kind]
        if failure := _output_taken(row, history.owners) or too_large:
            failed.append(PlannedRow(row, fingerprint, None, failure))
            continue
        # Suspects are alone.
        if crashes.total > (crashes.with_run == 1):
            bucket = []
        if not bucket:
            buckets.append(bucket)
        owned = row.output in history.owners  # by this row: another one's was refused above
        bucket.append(PlannedRow(row, fingerprint, shape, crashes_together=crashes.together, owned=owned))
    return buckets, failed


def _output_taken(row: Row, owners: Mapping[str, str]) -> Failure | None:
    """Return a failure if the name of a row's output belongs to the picture of another row."""
    owner = owners.get(row.output, row.id)
    if owner == row.id:
        return None
    return Failure("OutputTaken", f"output {row.output} is the picture of row {owner}: give one of them another name")


def _cut(buckets: Sequence[Sequence[PlannedRow]], failed: Sequence[PlannedRow], limits: Limits) -> Iterator[Batch]:
    """Yield the batches of all buckets, those with most work first, then the rows that fail at planning."""
    whole = sum(map(cost.work, buckets))
    groups = [group for bucket in buckets for group in _cut_bucket(bucket, limits, whole)]
    groups.sort(key=lambda group: -cost.work(group[0].rows))  # stable: equal batches of a bucket stay by style
    yield from itertools.chain.from_iterable(groups)
    yield from (Batch(tuple(rows)) for rows in _evenly(failed, -(-len(failed) // FAILED_ROWS_TOGETHER)))


def _cut_bucket(bucket: Sequence[PlannedRow], limits: Limits, whole: float) -> list[list[Batch]]:
    """Return the batches of a bucket, as groups of batches that have equally many rows."""
    params, shape = bucket[0].row.params, bucket[0].shape
    assert shape is not None
    limits = cost.limits_for(params, shape, limits)
    # As many rows as an actor can hold,
    needed = cost.memory(params, shape, precision=limits.precision)
    most = min(limits.rows, int((limits.memory or ASSUMED_MEMORY) / needed))
    if limits.pixels:
        most = min(most, limits.pixels // (shape[0] * shape[1]))
    # in as much time as a batch may take,
    if limits.work:
        most = min(most, int(limits.work / cost.work(bucket[:1])))
    # but in no fewer parts than actors are needed for the bucket's share of all the work.
    shares = math.ceil(limits.workers * cost.work(bucket) / whole - 1e-9)
    parts = max(-(-len(bucket) // max(1, most)), min(shares, len(bucket)))
    saving = cost.saving_that_fits(params, shape, precision=limits.precision, available=limits.memory)
    assert saving is not None  # or the rows would have failed
    batches = (Batch(tuple(rows), saving) for rows in _evenly(bucket, parts))
    return [list(equal) for _, equal in itertools.groupby(batches, key=lambda batch: len(batch.rows))]


def _evenly(rows: Sequence[PlannedRow], parts: int) -> list[Sequence[PlannedRow]]:
    """Return rows in order in so many parts, whose lengths differ by at most one; the longer ones come first."""
    if not parts:
        return []
    length, longer = divmod(len(rows), parts)
    ends = [length * part + min(part, longer) for part in range(parts + 1)]
    return [rows[start:end] for start, end in itertools.pairwise(ends)]


def fingerprint(row: Row, encoder_sha256: str, identities: Identities) -> str:
    """Return the fingerprint of a row: 16 hexadecimal digits."""
    known = [identities[uri] for uri in row.uris()]
    pictures = [UNKNOWN if isinstance(identity, storage.StorageError) else identity for identity in known]
    name = name_in_fingerprint(row.output, row.id)
    request = [derive_id(row.content, row.style, row.params, encoder_sha256), name, ALGORITHM_VERSION]
    return _digest(request) + _digest(pictures)


def _digest(json_value: object) -> str:
    """Return one half of a fingerprint."""
    return hashlib.sha256(json.dumps(json_value).encode()).hexdigest()[:8]
