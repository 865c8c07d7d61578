"""The run of an archive: what is new or changed since the last run is computed, and the index kept."""

import itertools
from collections.abc import Callable, Iterator, Mapping

from pipeline.archives import index
from pipeline.archives.photos import Selection
from pipeline.archives.rows import PhotoRow, check_originals_are_safe
from pipeline.archives.todo import rows_to_do
from pipeline.flow import check_rows, run_slices
from pipeline.manifest import Row
from pipeline.options import RunOptions, under_access
from pipeline.outputs import Progress, layout, summary
from pipeline.recovery import RunLock
from pipeline.specs import ArchiveSpec

SLICE = 20_000
"""Rows that are planned together: more rows fill batches a little better, fewer take less memory."""


@under_access
def run_archive(
    spec: ArchiveSpec,
    options: RunOptions,
    *,
    defaults: Mapping[str, object],
    on_progress: Callable[[Progress], None] | None = None,
    slice_rows: int = SLICE,
) -> Progress:
    """Compute what is new or changed in an archive, and bring the index up to date.

    It is one run: photos are listed and planned by slices while those before are computed, so that of an archive of any
    size only some slices are in memory. The index has the rows of a slice as pending before they are computed, and all
    outcomes at the end.

    Args:
        spec: the archive.
        options: of the run; their output has the index.
        defaults: style parameters of all rows.
        on_progress: called with the progress of the whole run.
        slice_rows: rows that are planned together.

    Raises:
        ValueError: as `rows_to_do`, or if no photo is selected; nothing was started.
        Locked: if another run of the archive writes to the output.
        RunBroken: as `run`, and whatever else it raises.
    """
    check_originals_are_safe(spec, options.output)
    selection = Selection()
    whole = Progress(total=0, done_before=0, passed_over=selection.passed_over, leaves_unreadable=True)
    # The lock of the run comes later, when there are photos to compute; this one keeps other runs of the archive out.
    with RunLock(layout.ledger_folder(options.output), force=options.force) as lock:
        index.settle(options.output)  # what a run that broke off has left
        todo = rows_to_do(
            spec,
            options.output,
            defaults=defaults,
            weights=options.weights,
            overwrite=options.overwrite,
            selection=selection,
        )
        slices = _slices(todo, slice_rows, options, selection, whole, lock)
        if first := next(slices, None):
            run_slices(itertools.chain([first], slices), options, progress=whole, on_progress=on_progress)
            lock.check()
            index.settle(options.output)
        lock.check()
        _renew_passed_over(options.output, whole)
    if not whole.total and on_progress:
        on_progress(whole)
    return whole


def _slices(
    todo: Iterator[tuple[PhotoRow, str]],
    slice_rows: int,
    options: RunOptions,
    selection: Selection,
    whole: Progress,
    lock: RunLock,
) -> Iterator[list[Row]]:
    """Yield the rows of an archive in slices, after writing each slice into the index as pending.

    Args:
        todo: what is new or changed, with fingerprints.
        slice_rows: rows of a slice.
        options: of the run.
        selection: counts what is listed.
        whole: progress of the run, which is told of what needs no computing.
        lock: of the archive.

    Raises:
        Locked: if another run of the archive has taken the lock.
    """
    for number in itertools.count():
        rows = list(itertools.islice(todo, slice_rows))
        whole.done_before += selection.done
        whole.failed_before, selection.done = selection.failed, 0
        if not rows:
            return
        lock.check()
        index.begin(options.output, number, rows)
        requested = [one.row for one, _ in rows]
        check_rows(requested, options)
        yield requested


def _renew_passed_over(output: str, whole: Progress) -> None:
    """Write into the summary of the last run what is passed over now, where nothing was left to compute."""
    last, now = summary.read(output), whole.passed_over.to_json()
    if last and last.get("passed_over") != now:
        summary.write(output, {**last, "passed_over": now})
