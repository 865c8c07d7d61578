"""The plan of a run: which rows are left to compute, and in which batches, from metadata alone."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nst_kernel.params import remarks_on
from pipeline import storage
from pipeline.manifest import Row, asked_output, former_output
from pipeline.planning import cost
from pipeline.planning.batch import Batch, Failure
from pipeline.planning.buckets import buckets_of
from pipeline.planning.cutting import cut
from pipeline.planning.fingerprint import Identities, fingerprint, same_request
from pipeline.planning.history import History
from pipeline.planning.limits import Limits
from pipeline.planning.shapes import output_shapes
from pipeline.process import garbage

MANY = 100_000
"""Rows from which on the time left is told by how many there are, and not by the work of each."""


@dataclass(frozen=True)
class Plan:
    """What a run has to do.

    Attributes:
        batches: to compute, those with most work first; rows that fail already at planning come last.
        done: how many rows need no computing.
        quarantined: how many rows are left out since they were quarantined with the same fingerprint.
    """

    batches: tuple[Batch, ...]
    done: int
    quarantined: int = 0

    @property
    def rows(self) -> int:
        """How many rows are to be computed."""
        return sum(len(batch.rows) for batch in self.batches)

    def multiply_adds(self) -> dict[str, float]:
        """Return the work of each row by its id; nothing for very many rows, among which they even out."""
        if self.rows > MANY:
            return {}
        rows = [planned for batch in self.batches for planned in batch.rows]
        return {planned.row.id: 0.0 if planned.failure else cost.work([planned]) for planned in rows}

    def remarks(self, encoder: str = "") -> tuple[str, ...]:
        """Return what is worth knowing about the parameters of the rows to be computed.

        Args:
            encoder: kind of the encoder's weights; empty: not known.
        """
        return remarks_on((planned.row.params for batch in self.batches for planned in batch.rows), encoder)


@garbage.paused()
def plan(
    rows: Sequence[Row],
    *,
    encoder_sha256: str,
    history: History | None = None,
    limits: Limits | Callable[[], Limits] | None = None,
    shape_of: Callable[[Sequence[Row]], list[tuple[int, int] | Failure]] | None = None,
    identify: Callable[[Sequence[str]], Identities] = storage.identities,
) -> Plan:
    """Group the rows that are not done yet into batches of equal output shape and settings.

    The order of the rows does not matter. Within a bucket rows are ordered by style, then by content, so that
    statistics of a style are used again while they are cached. Batches with most work come first, so that the last
    ones to finish are short.

    Args:
        rows: what is requested, each id once.
        encoder_sha256: digest of the encoder's weights, part of each row's fingerprint.
        history: what earlier runs left; None: there were none.
        limits: what batches must stay within, or what returns it and is called only if rows are left to compute, as a
            cluster must be there for it; None: the defaults of `Limits`.
        shape_of: returns the (height, width) in pixels of each row's output, or why it has none; None: from the
            headers of the pictures.
        identify: returns by URI a string that changes whenever the picture does; by default the store's own.
    """
    history = history or History()
    # What each picture is now: rows whose pictures changed are computed again.
    identities = identify(list(dict.fromkeys(uri for row in rows for uri in row.uris())))
    # Rows that are done or quarantined are left out.
    remaining, done, quarantined = _remaining(rows, encoder_sha256, identities, history)
    del identities  # of a million pictures they are 200 MB
    if not remaining:
        return Plan((), done=done, quarantined=quarantined)
    limits = limits() if callable(limits) else limits or Limits()
    # Neighbours share their style, whatever the order of the manifest.
    remaining.sort(key=_style_content_id)
    # Output shapes decide, with the settings, which rows can be optimised together.
    shapes = (shape_of or output_shapes)([row for row, _ in remaining])
    buckets, failed = buckets_of(remaining, shapes, history, limits)
    del remaining, shapes
    # Buckets are cut such that every actor gets its share of the work.
    return Plan(tuple(cut(buckets, failed, limits)), done=done, quarantined=quarantined)


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
    if row.output != former == asked_output(row.output, row.id) and history.owners.get(former) == row.id:
        return dataclasses.replace(row, output=former)
    return row


def _is_done(row: Row, current: str, earlier: str | None, identities: Identities) -> bool:
    """Tell whether a row need not be computed, given its fingerprint now and that of an earlier result.

    Where a picture cannot be identified, since it was taken away or its store does not answer, an earlier result of the
    same request stays valid: tried again, the row could only fail.
    """
    if earlier is None or earlier == current:
        return earlier == current
    unknown = any(isinstance(identities[uri], storage.StorageError) for uri in row.uris())
    return unknown and same_request(earlier, current)


def _has_frames(row: Row, history: History) -> bool:
    """Tell whether a row that is done has the pictures on the way that it asks for.

    Where it has some, how many evaluations lie between them does not matter: the picture would be no other.
    """
    if not row.params.save_every:
        return True
    animation = history.framed.get(row.id)
    return animation is not None and row.params.animation in ("none", animation)


def _style_content_id(remaining: tuple[Row, str]) -> tuple[str, str, str]:
    """Return the key by which rows are ordered within a bucket."""
    row = remaining[0]
    return row.style or "", row.content or "", row.id
