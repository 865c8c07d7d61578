"""Cutting buckets into batches that fit an actor and share the work evenly among all actors."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nst_kernel.params import StyleParams
from pipeline.planning import cost
from pipeline.planning.batches import BatchRange
from pipeline.planning.limits import ASSUMED_MEMORY, Limits

FAILED_ROWS_TOGETHER = 100
"""How many rows that fail at planning share a batch at most: they cost nothing but their lines in the results."""


class Bucket(NamedTuple):
    """Rows that could be optimised together, since their output shape and settings are equal.

    Attributes:
        start: place of the first of them; the others follow.
        rows: how many there are.
        params: of one of them.
        shape: (height, width) of the outputs, pixels.
    """

    start: int
    rows: int
    params: StyleParams
    shape: tuple[int, int]

    def work(self, rows: int) -> float:
        """Return the multiply-adds of so many of these rows."""
        return rows * cost.multiply_adds(self.params, self.shape)


def cut(buckets: Sequence[Bucket], failed: tuple[int, int], limits: Limits) -> Iterator[BatchRange]:
    """Yield the batches of all buckets, those with most work first, then the rows that fail at planning.

    Args:
        buckets: none of them empty.
        failed: place of the first row that has no output shape, and how many there are.
        limits: what batches must stay within.
    """
    work = sum(bucket.work(bucket.rows) for bucket in buckets)
    ranges = [(bucket, span) for bucket in buckets for span in _cut_bucket(bucket, limits, work)]
    ranges.sort(key=lambda each: -each[0].work(each[1].length))  # stable: equal batches of a bucket stay by style
    yield from (span for _, span in ranges)
    start, count = failed
    for length, times in evenly(count, -(-count // FAILED_ROWS_TOGETHER)):
        yield BatchRange(start, length, times, None)
        start += length * times


def _cut_bucket(bucket: Bucket, limits: Limits, work: float) -> Iterator[BatchRange]:
    """Yield the batches of a bucket.

    Args:
        bucket: the rows.
        limits: what batches must stay within; a single row may exceed its pixels and work.
        work: multiply-adds of all buckets. No batch has more than an actor's share of it, to within a row.
    """
    params, shape = bucket.params, bucket.shape
    limits = cost.limits_for(params, shape, limits)
    # As many rows as an actor can hold,
    needed = cost.memory(params, shape, precision=limits.precision)
    most = min(limits.rows, int((limits.memory or ASSUMED_MEMORY) / needed))
    if limits.pixels:
        most = min(most, limits.pixels // (shape[0] * shape[1]))
    # in as much time as a batch may take,
    if limits.work:
        most = min(most, int(limits.work / bucket.work(1)))
    # but in no fewer parts than actors are needed for the bucket's share of all the work.
    shares = math.ceil(limits.workers * bucket.work(bucket.rows) / work - 1e-9)
    parts = max(-(-bucket.rows // max(1, most)), min(shares, bucket.rows))
    saving = cost.saving_that_fits(params, shape, precision=limits.precision, available=limits.memory)
    assert saving is not None  # or the rows would have failed
    start = bucket.start
    for length, times in evenly(bucket.rows, parts):
        yield BatchRange(start, length, times, shape, saving)
        start += length * times


def evenly(count: int, parts: int) -> list[tuple[int, int]]:
    """Return the lengths of so many parts of a whole, and how many there are of each; they differ by at most one.

    The longer ones come first.
    """
    if not parts:
        return []
    length, longer = divmod(count, parts)
    return [(each, times) for each, times in ((length + 1, longer), (length, parts - longer)) if times and each]
