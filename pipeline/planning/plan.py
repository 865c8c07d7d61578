"""The plan of a run: which rows are left to compute, and in which batches, from metadata alone."""

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nst_kernel.params import remarks_on
from pipeline import storage
from pipeline.manifest import Row, Rows, former_output, name_in_fingerprint
from pipeline.outputs import Pairs
from pipeline.planning import cost
from pipeline.planning.batch import Failure
from pipeline.planning.batches import Batches, BatchRange, Planned
from pipeline.planning.buckets import Buckets, buckets_of
from pipeline.planning.crashes import RowKey
from pipeline.planning.cutting import cut
from pipeline.planning.fingerprint import Fingerprints, Identify, fingerprints, same_requests
from pipeline.planning.headers import WORTH_A_CLUSTER
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
        left_out: the rows that are done or quarantined.
    """

    batches: Batches
    done: int
    quarantined: int
    left_out: Rows

    @property
    def rows(self) -> int:
        """How many rows are to be computed."""
        return len(self.batches.planned.rows)

    def keys_among(self, keys: Collection[RowKey]) -> set[RowKey]:
        """Return which of some (id, fingerprint) keys belong to rows that are to be computed."""
        rows, fingerprints, *_ = self.batches.planned
        ids = pa.array([id for id, _ in keys], pa.large_string())
        places = np.flatnonzero(_is(pc.is_in(rows.column("id"), value_set=ids))).tolist()
        return {key for place in places if (key := (rows[place].id, fingerprints[place].as_py())) in keys}

    def multiply_adds(self) -> dict[str, float]:
        """Return the work of each row by its id; nothing for very many rows, among which they even out."""
        if self.rows > MANY:
            return {}
        works: list[float] = []
        for span in self.batches.ranges:
            rows = self.batches.planned.rows[span.start : span.start + span.rows]
            works += [cost.multiply_adds(row.params, span.shape) if span.shape else 0.0 for row in rows]
        return dict(zip(self.batches.planned.rows.column("id").to_pylist(), works, strict=True))

    def remarks(self, encoder: str = "") -> tuple[str, ...]:
        """Return what is worth knowing about the parameters of the rows to be computed.

        Args:
            encoder: kind of the encoder's weights; empty: not known.
        """
        return remarks_on(self.batches.planned.rows.used_params(), encoder)


@garbage.paused()
def plan(
    rows: Sequence[Row],
    *,
    encoder_sha256: str,
    history: History | None = None,
    limits: Limits | Callable[[], Limits] | None = None,
    shape_of: Callable[[Sequence[Row]], list[tuple[int, int] | Failure]] | None = None,
    identify: Identify = storage.identities,
) -> Plan:
    """Group the rows that are not done yet into batches of equal output shape and settings.

    The order of the rows does not matter. Within a bucket rows are ordered by style, then by content, so that
    statistics of a style are used again while they are cached. Batches with most work come first, so that the last
    ones to finish are short.

    Args:
        rows: what is requested, each id once.
        encoder_sha256: digest of the encoder's weights, part of each row's fingerprint.
        history: what earlier runs left; None: there were none.
        limits: what batches must stay within, or what returns it and is called only if a row can be computed, or if so
            many are left that a cluster looks at them; None: the defaults of `Limits`.
        shape_of: returns the (height, width) in pixels of each row's output, or why it has none; None: from the
            headers of the pictures.
        identify: returns by URI a string that changes whenever the picture does; by default the store's own.
    """
    history = history or History()
    columns = Rows.of(rows, encoder_sha256)
    # What each picture is now: rows whose pictures changed are computed again.
    marks = fingerprints(columns, identify)
    # Rows that are done or quarantined are left out.
    is_done, is_held = _done_and_held(columns, marks, history)
    places, left_out = np.flatnonzero(~(is_done | is_held)), columns.at(np.flatnonzero(is_done | is_held))
    whole = functools.partial(Plan, done=int(is_done.sum()), quarantined=int(is_held.sum()), left_out=left_out)
    todo, texts = _in_their_places(columns.at(places), history), marks.texts.take(pa.array(places))
    uncertain = marks.uncertain[places]
    del marks
    garbage.give_back()
    if not len(todo):
        return whole(Batches(Planned(todo, texts, np.zeros(0, bool), {}, {}), ()))
    # A cluster reads many headers, and so must be there before; few tell whether one is needed at all.
    if callable(limits) and len(todo) >= WORTH_A_CLUSTER:
        limits = limits()
    # Neighbours share their style, whatever the order of the manifest.
    order = _by_style_and_content(todo)
    todo, texts, uncertain = todo.at(order), texts.take(pa.array(order)), uncertain[order]
    garbage.give_back()
    # Output shapes decide, with the settings, which rows can be optimised together.
    shapes = _shapes(todo, texts, uncertain, shape_of or output_shapes)
    if callable(limits):
        some_fit = len(buckets_of(todo, texts, shapes, history, _NO_LIMITS).failures) < len(todo)
        limits = limits() if some_fit else _NO_LIMITS
    buckets = buckets_of(todo, texts, shapes, history, limits or Limits())
    # Buckets are cut such that every actor gets its share of the work.
    failed = len(todo) - len(buckets.failures), len(buckets.failures)
    ranges = list(cut(buckets.buckets, failed, limits or Limits()))
    return whole(_in_order(todo, texts, buckets, ranges))


_NO_LIMITS = Limits(memory=None)
"""Under which no row is too large."""


def _done_and_held(rows: Rows, marks: Fingerprints, history: History) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows are done, and which are quarantined."""
    ids, current = rows.column("id"), marks.texts
    is_held = _is(pc.equal(Pairs.of(history.quarantined).look_up(ids), current))
    earlier = Pairs.of(history.finished).look_up(ids)
    is_done = _is(pc.equal(earlier, current))
    # Where a picture cannot be identified, since it was taken away or its store does not answer, an earlier result of
    # the request stays valid: tried again, the row could only fail.
    places = np.flatnonzero(marks.uncertain)
    is_done[places] |= _is(same_requests(*(texts.take(pa.array(places)) for texts in (earlier, current))))
    is_done &= ~is_held
    _unframed(rows, history, is_done)
    return is_done, is_held


def _shapes(
    rows: Rows,
    fingerprints: pa.Array,
    uncertain: NDArray[np.bool_],
    shape_of: Callable[[Sequence[Row]], list[tuple[int, int] | Failure]],
) -> list[tuple[int, int] | Failure]:
    """Return the (height, width) in pixels of each row's output, or why it has none.

    What an earlier plan found out stays as it is while the fingerprint does, which the pictures decide: few headers are
    read again.

    Args:
        rows: to compute.
        fingerprints: of the rows.
        uncertain: whether a picture of the row has no known identity.
        shape_of: finds the shapes of rows.
    """
    if not rows.has_earlier:
        return shape_of(rows)
    is_known = _is(pc.equal(rows.column("fingerprint"), fingerprints)) & ~uncertain
    heights, widths = rows.numbers("output_height"), rows.numbers("output_width")
    is_known &= heights > 0
    distinct, numbers = np.unique(heights * 2**32 + widths, return_inverse=True)
    pairs = [divmod(each, 2**32) for each in distinct.tolist()]  # rows are many, shapes few
    shapes: list[tuple[int, int] | Failure] = [pairs[number] for number in numbers]
    others = np.flatnonzero(~is_known)
    for place, shape in zip(others.tolist(), shape_of(rows.at(others)), strict=True):
        shapes[place] = shape
    return shapes


def _in_their_places(rows: Rows, history: History) -> Rows:
    """Return rows with the names that their pictures have, where an earlier version named those: they are replaced."""
    if not len(rows):
        return rows
    owners = Pairs.of(history.owners)
    places = np.flatnonzero(_is(owners.has_values(rows.column("id"))))
    some = rows.at(places)
    names = [former_output(id) for (id,) in some.values(["id"])]
    has_picture = _is(pc.equal(owners.look_up(pa.array(names, pa.large_string())), some.column("id")))
    requested = zip(places.tolist(), names, has_picture, some.values(["id", "output"]), strict=True)
    return rows.renamed(
        {
            place: name
            for place, name, is_there, (id, output) in requested
            if is_there and output != name == name_in_fingerprint(output, id)
        }
    )


def _is(truths: pa.Array) -> NDArray[np.bool_]:
    """Return a column of truths with False for null."""
    known: NDArray[np.bool_] = truths.fill_null(False).to_numpy(zero_copy_only=False)
    return known


def _unframed(rows: Rows, history: History, is_done: NDArray[np.bool_]) -> None:
    """Mark rows in `is_done` as not done that lack the pictures on the way which they request.

    Where a row has some, how many evaluations lie between them does not matter: the picture would be no other.
    """
    wants = np.array([bool(params.save_every) for params in rows.params], bool)[rows.numbers("params")]
    for place in np.flatnonzero(is_done & wants).tolist():
        row = rows[place]
        animation = history.framed.get(row.id)
        is_done[place] = animation is not None and row.params.animation in ("none", animation)


def _by_style_and_content(rows: Rows) -> NDArray[np.int64]:
    """Return the places of rows ordered by style, content and id, as within a bucket."""
    styles = rows.column("style")
    texts = [style or "" for style in styles.dictionary.to_pylist()]
    ranks = {text: rank for rank, text in enumerate(sorted({"", *texts}))}
    of_styles = np.array([*map(ranks.__getitem__, texts), ranks[""]])  # the last is for rows without a style
    keys = {
        "style": pa.array(of_styles[styles.indices.fill_null(len(texts)).to_numpy()]),
        "content": rows.column("content").fill_null(""),
        "id": rows.column("id"),
    }
    order = pc.sort_indices(pa.table(keys), sort_keys=[(name, "ascending") for name in keys])
    return np.asarray(order.to_numpy(), np.int64)


def _in_order(rows: Rows, fingerprints: pa.Array, buckets: Buckets, ranges: list[BatchRange]) -> Batches:
    """Return batches whose rows lie in their order.

    Args:
        rows: to compute.
        fingerprints: of the rows.
        buckets: of the rows.
        ranges: of batches, by places in the order of the buckets.
    """
    order = np.concatenate([buckets.order[span.start : span.start + span.rows] for span in ranges])
    starts = np.cumsum([0, *(span.rows for span in ranges)]).tolist()
    place_of = np.argsort(order)  # among the batches, of each row
    planned = Planned(
        rows.at(order),
        fingerprints.take(pa.array(order)),
        buckets.owned[order],
        {
            int(place_of[place]): crashes.together
            for place, crashes in buckets.crashes.items()
            if place not in buckets.failures
        },
        {int(place_of[place]): failure for place, failure in sorted(buckets.failures.items())},
    )
    return Batches(planned, [span._replace(start=start) for span, start in zip(ranges, starts[:-1], strict=True)])
