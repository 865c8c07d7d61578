"""What will run: sizes and batches, decided from metadata alone, minus what is done already."""

import functools
import hashlib
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nst_kernel import ALGORITHM_VERSION
from nst_kernel.params.style_params import INITS, StyleParams
from nst_kernel.pictures.sizes import fit
from pipeline.manifest.ids import derive_id
from pipeline.manifest.reader import Row
from pipeline.planning import cost, headers
from pipeline.planning.batch import Batch, Failure, PlannedRow
from pipeline.process import garbage as collector
from pipeline.recovery import ledger
from pipeline.storage import operations as storage

ASSUMED_MEMORY = 6e9
"""Bytes that a batch stays within where the memory of an actor is not known."""

ROWS_AT_MOST = 32
"""Rows of a batch where nobody says: enough to fill a GPU with small pictures, few enough to be done soon."""

FAILED_ROWS_TOGETHER = 100


@dataclass(frozen=True)
class Limits:
    """What batches must stay within.

    Attributes:
        rows: of a batch at most.
        pixels: of a batch at most, unless it is one row; None: as many as memory holds.
        memory: bytes that an actor has; None if it is not known. A picture that needs more fails at planning.
        precision: what `auto` means on the actors' devices; fp32, which needs most, where it is not known.
        workers: actors that share the batches; work is cut so that none of them need stay idle.
    """

    rows: int = ROWS_AT_MOST
    pixels: int | None = None
    memory: float | None = None
    precision: str = "fp32"
    workers: int = 1


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


Identities = Mapping[str, str | storage.StorageError]
"""By URI what changes whenever a picture does, or why it cannot be told."""

UNKNOWN = "unknown"


def inputs(row: Row) -> list[str]:
    """URIs of every picture that a row reads."""
    init = None if row.params.init in INITS else row.params.init
    return [uri for uri in (row.content, row.style, init) if uri]


def fingerprint(row: Row, encoder_sha256: str, identities: Identities) -> str:
    """Of what was asked: the row's meaning with the version of the algorithm, and its pictures as they are now.

    Equal ones need no second run. The first half is of the meaning, the second of the pictures. One whose identity
    cannot be told, since it is missing or its store does not say, counts as unknown: whether it can be read is found
    out by reading it.
    """
    found = [identities[uri] for uri in inputs(row)]
    pictures = [UNKNOWN if isinstance(identity, storage.StorageError) else identity for identity in found]
    meaning = [derive_id(row.content, row.style, row.params, encoder_sha256), row.output, ALGORITHM_VERSION]
    return _half(meaning) + _half(pictures)


def _half(what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:8]


def _is_done(row: Row, mark: str, before: str | None, identities: Identities) -> bool:
    """Whether an earlier run's fingerprint of a row says that it need not be done.

    Where pictures cannot be looked at, since they were taken away or their store is not to be had, a result that was
    asked as it is asked now stays what it is: tried again, the row could only fail.
    """
    if before is None or before == mark:
        return before == mark
    hidden = any(isinstance(identities[uri], storage.StorageError) for uri in inputs(row))
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
    deaths: Mapping[ledger.Asked, ledger.Deaths] | None = None,
    max_attempts: int = ledger.MAX_ATTEMPTS,
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
        deaths: of rows whose processes died in earlier runs; each is a batch of its own now, unless all that died was
            a run, once.
        max_attempts: deaths until a row is quarantined.
        shape_of: (height, width) of each row's output, or why there is none; by default from the pictures' headers.
        identify: what tells whether pictures changed, by default their stores.
    """
    limits = limits or Limits()
    identities = identify(list(dict.fromkeys(uri for row in rows for uri in inputs(row))))
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
        died = (deaths or {}).get((row.id, mark), ledger.NONE)
        kind = (shape, *row.params.graph)
        if kind not in too_large:
            too_large[kind] = None if isinstance(shape, Failure) else _too_large(row.params, shape, limits)
        outcome = shape if isinstance(shape, Failure) else _taken(row, owners or {}) or too_large[kind]
        if died.convict(max_attempts):
            outcome = ledger.quarantine(row.id, died)
        if isinstance(shape, Failure) or outcome:
            failed.append(PlannedRow(row, mark, None, outcome))
        else:
            # A bucket of its own, and so a batch. A death with its whole run is the run's until it happens again:
            # then the batch is the same, and goes on from where it was saved.
            suspect = row.id if died.total > (died.unclear == 1) else None
            buckets[(suspect, *kind)].append(PlannedRow(row, mark, shape, died_together=died.together))
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


def output_shapes(rows: Sequence[Row], *, probe: headers.Probe = headers.probe) -> list[tuple[int, int] | Failure]:
    """(height, width) of each row's output, or why there is none.

    It follows from the shape of the picture that decides it, which the manifest says, or else that picture's header.

    Args:
        rows: any.
        probe: reads headers.
    """
    fitted = functools.lru_cache(65_536)(fit)  # equal shapes are one object
    sizes = probe(sorted({_deciding(row) for row in rows if not row.content_shape}))

    def shape(row: Row) -> tuple[int, int] | Failure:
        size = row.content_shape or sizes[_deciding(row)]
        if isinstance(size, Failure):
            return size
        params = row.params
        # A texture takes its style's shape, and styles are not moved: they decide nobody else's batch.
        tolerance = params.aspect_tolerance if row.content else 0.0
        return fitted(size[0], size[1], size=params.size, upscale=params.upscale, aspect_tolerance=tolerance)

    return [shape(row) for row in rows]


def _deciding(row: Row) -> str:
    """The picture that a row's output has the shape of."""
    return row.content or row.style or ""
