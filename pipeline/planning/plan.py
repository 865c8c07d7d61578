"""What will run: sizes and batches, decided from metadata alone, minus what is done already."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nst_kernel.params import StyleParams
from pipeline import storage
from pipeline.manifest import Row
from pipeline.options import MAX_ATTEMPTS
from pipeline.planning import cost
from pipeline.planning.batch import Batch, Failure, PlannedRow
from pipeline.planning.crashes import NO_CRASHES, Crashes, RowKey, quarantine_failure
from pipeline.planning.fingerprint import Identities, fingerprint
from pipeline.planning.limits import ASSUMED_MEMORY, Limits
from pipeline.planning.shapes import output_shapes
from pipeline.process import garbage as collector

FAILED_ROWS_TOGETHER = 100


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        batches: to run, those with most work first.
        done: rows that need none.
        quarantined: rows that are left alone, since they were quarantined as they are asked.
    """

    batches: tuple[Batch, ...]
    done: int
    quarantined: int = 0

    @property
    def rows(self) -> int:
        """To be computed."""
        return sum(len(batch.rows) for batch in self.batches)


def _is_done(row: Row, mark: str, before: str | None, identities: Identities) -> bool:
    """Whether an earlier run's fingerprint of a row says that it need not be done.

    Where pictures cannot be looked at, since they were taken away or their store is not to be had, a result that was
    asked as it is asked now stays what it is: tried again, the row could only fail.
    """
    if before is None or before == mark:
        return before == mark
    hidden = any(isinstance(identities[uri], storage.StorageError) for uri in row.pictures().values())
    return hidden and before[:8] == mark[:8]


@collector.paused()
def plan(
    rows: Sequence[Row],
    *,
    encoder_sha256: str,
    finished: Mapping[str, str],
    limits: Limits | None = None,
    owners: Mapping[str, str] | None = None,
    quarantined: Mapping[str, str] | None = None,
    crashes: Mapping[RowKey, Crashes] | None = None,
    max_attempts: int = MAX_ATTEMPTS,
    shape_of: Callable[[Sequence[Row]], list[tuple[int, int] | Failure]] | None = None,
    identify: Callable[[Sequence[str]], Identities] = storage.identities,
) -> Plan:
    """Group what is not done yet into batches of equal shape and settings.

    The order of the rows has no say in the batches. Within a bucket rows stand by style, then by content, so that
    what is known of a style is used while it is there. Batches with most work come first, so that the last ones to
    finish are short.

    Args:
        rows: what is asked, each id once.
        encoder_sha256: of the weights.
        finished: fingerprint by id of what is done.
        limits: what batches must stay within.
        owners: id by output name of pictures that are there; a row does not overwrite another id's picture.
        quarantined: fingerprint by id of what is not to be tried.
        crashes: of rows whose processes died in earlier runs; each is a batch of its own now, unless all that died was
            a run, once.
        max_attempts: deaths until a row is quarantined.
        shape_of: (height, width) of each row's output, or why there is none; by default from the pictures' headers.
        identify: what tells whether pictures changed, by default their stores.
    """
    limits = limits or Limits()
    identities = identify(list(dict.fromkeys(uri for row in rows for uri in row.pictures().values())))
    todo: list[tuple[Row, str]] = []
    done = held = 0
    for row in rows:
        mark = fingerprint(row, encoder_sha256, identities)
        if (quarantined or {}).get(row.id) == mark:
            held += 1
        elif _is_done(row, mark, finished.get(row.id), identities):
            done += 1
        else:
            todo.append((row, mark))
    del identities  # of a million pictures they are 200 MB
    todo.sort(key=lambda each: (each[0].style or "", each[0].content or "", each[0].id))
    shapes = (shape_of or output_shapes)([row for row, _ in todo])
    failed: list[PlannedRow] = []
    buckets: defaultdict[tuple[object, ...], list[PlannedRow]] = defaultdict(list)
    too_large: dict[tuple[object, ...], Failure | None] = {}  # by what decides it, as rows are many and kinds few
    for (row, mark), shape in zip(todo, shapes, strict=True):
        died = (crashes or {}).get((row.id, mark), NO_CRASHES)
        kind = (shape, *row.params.graph)
        if kind not in too_large:
            too_large[kind] = None if isinstance(shape, Failure) else _too_large(row.params, shape, limits)
        outcome = shape if isinstance(shape, Failure) else _taken(row, owners or {}) or too_large[kind]
        if died.should_quarantine(max_attempts):
            outcome = quarantine_failure(row.id, died)
        if isinstance(shape, Failure) or outcome:
            failed.append(PlannedRow(row, mark, None, outcome))
        else:
            # A bucket of its own, and so a batch. A death with its whole run is the run's until it happens again:
            # then the batch is the same, and goes on from where it was saved.
            suspect = row.id if died.total > (died.with_run == 1) else None
            buckets[(suspect, *kind)].append(PlannedRow(row, mark, shape, crashes_together=died.together))
    del todo, shapes
    work = sum(map(cost.work, buckets.values()))
    alike = [some for bucket in buckets.values() for some in _cut(bucket, limits, work)]
    alike.sort(key=lambda some: -cost.work(some[0].rows))  # stable: equal batches of a bucket stay by style
    batches = list(itertools.chain.from_iterable(alike))
    batches += [Batch(tuple(some)) for some in _evenly(failed, -(-len(failed) // FAILED_ROWS_TOGETHER))]
    return Plan(tuple(batches), done=done, quarantined=held)


def _taken(row: Row, owners: Mapping[str, str]) -> Failure | None:
    """Why a row must not be tried since its picture's name is another's, if so."""
    owner = owners.get(row.output, row.id)
    if owner == row.id:
        return None
    return Failure("OutputTaken", f"output {row.output} is the picture of row {owner}: give one of them another name")


def _too_large(params: StyleParams, shape: tuple[int, int], limits: Limits) -> Failure | None:
    """Why such a row cannot be optimised by any actor, not even alone and with activations computed twice, if so."""
    needed = cost.memory(params, shape, precision=limits.precision, checkpoint=True)
    if not limits.memory or needed <= limits.memory:
        return None
    return Failure(
        "TooLarge",
        f"{shape[1]} x {shape[0]} px need about {needed / 1e9:.1f} GB, an actor has {limits.memory / 1e9:.1f} GB: "
        "ask for a smaller size, or run fewer actors",
    )


def _cut(bucket: Sequence[PlannedRow], limits: Limits, work: float) -> list[list[Batch]]:
    """Batches of a bucket within the limits, none more than an actor's share of all the work but for whole rows.

    Neighbours of equal length together.
    """
    params, shape = bucket[0].row.params, bucket[0].shape
    assert shape is not None
    needed = cost.memory(params, shape, precision=limits.precision)
    most = min(limits.rows, int((limits.memory or ASSUMED_MEMORY) / needed))
    if limits.pixels:
        most = min(most, limits.pixels // (shape[0] * shape[1]))
    shares = math.ceil(limits.workers * cost.work(bucket) / work - 1e-9)
    parts = max(-(-len(bucket) // max(1, most)), min(shares, len(bucket)))
    checkpoint = limits.memory is not None and needed > limits.memory
    batches = (Batch(tuple(rows), checkpoint) for rows in _evenly(bucket, parts))
    return [list(alike) for _, alike in itertools.groupby(batches, key=lambda batch: len(batch.rows))]


def _evenly(rows: Sequence[PlannedRow], parts: int) -> list[Sequence[PlannedRow]]:
    """Rows in order, in so many parts, of which none has two rows more than another; the longer ones first."""
    ends = [-(-len(rows) * part // parts) for part in range(parts + 1)] if parts else []
    return [rows[start:end] for start, end in itertools.pairwise(ends)]
