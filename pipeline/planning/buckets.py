"""Buckets: rows that could be optimised together, and the rows that cannot be computed at all."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nst_kernel.params import StyleParams
from pipeline.manifest import Rows
from pipeline.outputs import Pairs
from pipeline.planning import cost
from pipeline.planning.batch import Failure
from pipeline.planning.crashes import Crashes, quarantine_failure
from pipeline.planning.cutting import Bucket
from pipeline.planning.history import History
from pipeline.planning.limits import Limits


class Buckets(NamedTuple):
    """Rows in buckets.

    Attributes:
        order: places of the rows, bucket by bucket; those that fail at planning come last.
        buckets: ranges of that order, themselves in the order of their first rows.
        failures: by place of a row, why it fails.
        owned: of each row, whether results say that the picture under the name of its output is the row's.
        crashes: by place of a row, how often its processes died; those that are not there had none.
    """

    order: NDArray[np.int64]
    buckets: list[Bucket]
    failures: dict[int, Failure]
    owned: NDArray[np.bool_]
    crashes: dict[int, Crashes]


def buckets_of(
    rows: Rows,
    fingerprints: pa.Array,
    shapes: Sequence[tuple[int, int] | Failure],
    history: History,
    limits: Limits,
) -> Buckets:
    """Return buckets of equal output shape and settings, and the rows that fail at planning; both keep the order.

    A row whose process has died is a bucket of its own, and so a batch: the next crash tells whether it is to blame. A
    first crash with the whole run is held against the run: the batch stays the same, and resumes from its saved state.

    Args:
        rows: to compute.
        fingerprints: of the rows.
        shapes: (height, width) of each row's output, pixels, or why it has none.
        history: what earlier runs left.
        limits: what an actor can hold.
    """
    crashes = _crashes_of(rows, fingerprints, history)
    failures = _failures_alone(rows, shapes, history, crashes)
    able = np.setdiff1d(np.arange(len(rows)), [*failures])
    # Rows of one kind share their shape and settings, and so whether an actor can hold them.
    kinds = _kinds(rows.at(able), [shapes[place] for place in able.tolist()] if failures else shapes)
    firsts = able[_firsts(kinds)].tolist()
    for kind, place in enumerate(firsts):
        if too_large := _too_large(rows[place].params, shapes[place], limits):
            failures |= dict.fromkeys(able[kinds == kind].tolist(), too_large)
    owned, taken = _owned_and_taken(rows, history) if len(history.owners) else (np.zeros(len(rows), bool), {})
    failures |= {place: taken[place] for place in able[np.isin(able, [*taken])].tolist()}
    # Suspects are alone.
    is_left = np.isin(able, [*failures], invert=True)
    suspects = [place for place, known in crashes.items() if known.total > (known.with_run == 1)]
    kinds[np.isin(able, suspects)] = len(firsts) + np.arange(np.isin(able, suspects).sum())
    order, buckets = _bucket_by_bucket(able[is_left], kinds[is_left], rows, shapes)
    failed = np.array(sorted(failures), np.int64)
    owned[failed] = False
    return Buckets(np.concatenate([order, failed]), buckets, failures, owned, crashes)


def _crashes_of(rows: Rows, fingerprints: pa.Array, history: History) -> dict[int, Crashes]:
    """Return how often each row's process crashed, by the row's place; rows without crashes are left out."""
    ids = pa.array([id for id, _ in history.crashes], pa.large_string())
    places = np.flatnonzero(pc.is_in(rows.column("id"), value_set=ids).to_numpy(zero_copy_only=False)).tolist()
    keys = {place: (rows[place].id, fingerprints[place].as_py()) for place in places}
    return {place: history.crashes[key] for place, key in keys.items() if key in history.crashes}


def _failures_alone(
    rows: Rows, shapes: Sequence[tuple[int, int] | Failure], history: History, crashes: dict[int, Crashes]
) -> dict[int, Failure]:
    """Return the failure of each row that is quarantined or has no output shape, by the row's place."""
    failures = {place: shape for place, shape in enumerate(shapes) if isinstance(shape, Failure)}
    for place, known in crashes.items():
        if known.should_quarantine(history.max_attempts):
            failures[place] = quarantine_failure(rows[place].id, known)
    return failures


def _owned_and_taken(rows: Rows, history: History) -> tuple[NDArray[np.bool_], dict[int, Failure]]:
    """Return which rows own the picture under the name of their output, and by place, why others cannot have it."""
    owners = Pairs.of(history.owners).look_up(rows.column("output"))
    owned = pc.equal(owners, rows.column("id")).fill_null(False).to_numpy(zero_copy_only=False).copy()
    is_taken = owners.is_valid().to_numpy(zero_copy_only=False) & ~owned
    return owned, {place: _output_taken(rows, place, owners) for place in np.flatnonzero(is_taken).tolist()}


def _kinds(rows: Rows, shapes: Sequence[object]) -> NDArray[np.int64]:
    """Return a number for each row, from 0 on, that is equal for rows of one output shape and settings."""
    shape_numbers: dict[object, int] = {}
    of_shape = np.fromiter(
        (shape_numbers.setdefault(shape, len(shape_numbers)) for shape in shapes), np.int64, len(rows)
    )
    graph_numbers: dict[object, int] = {}
    graphs = [graph_numbers.setdefault(params.graph, len(graph_numbers)) for params in rows.params]
    both = of_shape * max(1, len(graph_numbers)) + np.array(graphs, np.int64)[rows.numbers("params")]
    return np.searchsorted(np.unique(both), both)  # with its inverse, `unique` takes twice the memory


def _firsts(kinds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of the first row of each kind; kinds are numbers from 0 on, none of which is left out."""
    firsts = np.empty(kinds.max(initial=-1) + 1, np.int64)
    firsts[kinds[::-1]] = np.arange(len(kinds))[::-1]  # of several, the last one stays
    return firsts


def _bucket_by_bucket(
    places: NDArray[np.int64], kinds: NDArray[np.int64], rows: Rows, shapes: Sequence[tuple[int, int] | Failure]
) -> tuple[NDArray[np.int64], list[Bucket]]:
    """Return the places of rows by buckets, each in the order in which they are given, and the buckets.

    Args:
        places: of the rows.
        kinds: of the rows, each of which is a bucket.
        rows: among which the places are.
        shapes: of these.
    """
    kinds = np.searchsorted(np.unique(kinds), kinds)  # without those that have no row any more
    firsts, counts = _firsts(kinds), np.bincount(kinds)
    in_order = np.argsort(firsts)
    rank = np.argsort(in_order)  # of each kind, by its first row
    buckets, start = [], 0
    for first, count in zip(places[firsts[in_order]].tolist(), counts[in_order].tolist(), strict=True):
        shape = shapes[first]
        assert not isinstance(shape, Failure)
        buckets.append(Bucket(start, count, rows[first].params, shape))
        start += count
    return places[np.argsort(rank[kinds], kind="stable")], buckets


def _output_taken(rows: Rows, place: int, owners: pa.Array) -> Failure:
    """Return the failure of a row whose output has the name of a picture of another row."""
    name, owner = rows[place].output, owners[place].as_py()
    return Failure("OutputTaken", f"output {name} is the picture of row {owner}: give one of them another name")


def _too_large(params: StyleParams, shape: tuple[int, int], limits: Limits) -> Failure | None:
    """Return the failure of a row that no actor has memory for, not even alone; None if one has."""
    limits = cost.limits_for(params, shape, limits)
    if not limits.memory or cost.saving_that_fits(params, shape, precision=limits.precision, available=limits.memory):
        return None
    needed = min(
        cost.memory(params, shape, precision=limits.precision, saving=saving) for saving in cost.savings_of(shape)
    )
    fitting = cost.largest_side(params, shape, precision=limits.precision, available=limits.memory)
    advice = ["run fewer actors"]
    if fitting:
        advice.insert(0, f"ask for a size of at most {fitting}")
    if params.optimizer == "lbfgs" and params.history > 1:
        advice.append(f"or lower history, of which each step takes {24 * shape[0] * shape[1] / 1e9:.2g} GB")
    return Failure(
        "TooLarge",
        f"{shape[1]} x {shape[0]} px need about {needed / 1e9:.1f} GB, in whatever way memory is saved, and an actor "
        f"has {limits.memory / 1e9:.1f} GB: {', '.join(advice)}",
    )
