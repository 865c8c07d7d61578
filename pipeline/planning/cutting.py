"""Cutting buckets into batches that fit an actor and share the work evenly among all actors."""

import itertools
import math
from collections.abc import Iterator, Sequence

from pipeline.planning import cost
from pipeline.planning.batch import Batch, PlannedRow
from pipeline.planning.limits import ASSUMED_MEMORY, Limits

FAILED_ROWS_TOGETHER = 100
"""How many rows that fail at planning share a batch at most: they cost nothing but their lines in the results."""


def cut(buckets: Sequence[Sequence[PlannedRow]], failed: Sequence[PlannedRow], limits: Limits) -> Iterator[Batch]:
    """Yield the batches of all buckets, those with most work first, then the rows that fail at planning.

    Args:
        buckets: rows of equal output shape and settings each, none empty.
        failed: rows that have no output shape.
        limits: what batches must stay within.
    """
    work = sum(map(cost.work, buckets))
    groups = [group for bucket in buckets for group in _cut_bucket(bucket, limits, work)]
    groups.sort(key=lambda group: -cost.work(group[0].rows))  # stable: equal batches of a bucket stay by style
    yield from itertools.chain.from_iterable(groups)
    yield from (Batch(tuple(rows)) for rows in _evenly(failed, -(-len(failed) // FAILED_ROWS_TOGETHER)))


def _cut_bucket(bucket: Sequence[PlannedRow], limits: Limits, work: float) -> list[list[Batch]]:
    """Return the batches of a bucket, as groups of batches that have equally many rows.

    Args:
        bucket: rows of equal output shape and settings.
        limits: what batches must stay within; a single row may exceed its pixels and work.
        work: multiply-adds of all buckets. No batch has more than an actor's share of it, to within a row.
    """
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
    shares = math.ceil(limits.workers * cost.work(bucket) / work - 1e-9)
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
