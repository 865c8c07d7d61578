"""Buckets: rows that could be optimised together, and the rows that cannot be computed at all."""

from collections.abc import Mapping, Sequence

from nst_kernel.params import StyleParams
from pipeline.manifest import Row
from pipeline.planning import cost
from pipeline.planning.batch import Failure, PlannedRow
from pipeline.planning.crashes import NO_CRASHES, quarantine_failure
from pipeline.planning.history import History
from pipeline.planning.limits import Limits


def buckets_of(
    remaining: Sequence[tuple[Row, str]],
    shapes: Sequence[tuple[int, int] | Failure],
    history: History,
    limits: Limits,
) -> tuple[list[list[PlannedRow]], list[PlannedRow]]:
    """Return buckets of equal output shape and settings, and the rows that fail at planning; both keep the order.

    A row whose process has died is a bucket of its own, and so a batch: the next crash tells whether it is to blame. A
    first crash with the whole run is held against the run: the batch stays the same, and resumes from its saved state.

    Args:
        remaining: rows to compute, each with its fingerprint.
        shapes: (height, width) of each row's output, pixels, or why it has none.
        history: what earlier runs left.
        limits: what an actor can hold.
    """
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


def _too_large(params: StyleParams, shape: tuple[int, int], limits: Limits) -> Failure | None:
    """Return a failure if no actor can hold such a row, not even alone and in whatever way memory is saved."""
    limits = cost.limits_for(params, shape, limits)
    if not limits.memory or cost.saving_that_fits(params, shape, precision=limits.precision, available=limits.memory):
        return None
    needed = min(
        cost.memory(params, shape, precision=limits.precision, saving=saving) for saving in cost.savings_of(shape)
    )
    fitting = cost.largest_side(params, shape, precision=limits.precision, available=limits.memory)
    asked = ["run fewer actors"]
    if fitting:
        asked.insert(0, f"ask for a size of at most {fitting}")
    if params.optimizer == "lbfgs" and params.history > 1:
        asked.append(f"or lower history, of which each step takes {24 * shape[0] * shape[1] / 1e9:.2g} GB")
    return Failure(
        "TooLarge",
        f"{shape[1]} x {shape[0]} px need about {needed / 1e9:.1f} GB, in whatever way memory is saved, and an actor "
        f"has {limits.memory / 1e9:.1f} GB: {', '.join(asked)}",
    )
