"""The run of an archive: what is new or changed since the last run is computed in slices, and the index kept."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline import storage
from pipeline.archives import index
from pipeline.archives.photos import Selection
from pipeline.archives.rows import PhotoRow, check_originals_are_safe
from pipeline.archives.todo import rows_to_do
from pipeline.flow import RunBroken, run_rows
from pipeline.options import RunOptions, failures, under_access
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

    Photos are listed while the slice before is computed: of an archive of any size, one slice is in memory. The index
    has the rows of a slice as pending before it runs, and their outcomes afterwards.

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
    selection, joined = Selection(), dict[str, Any]()
    whole = Progress(total=0, done_before=0, passed_over=selection.passed_over)
    # Every slice is a run with a lock of its own; this one keeps other runs of the archive out between slices.
    with RunLock(layout.ledger_folder(options.output), force=options.force) as lock:
        todo = rows_to_do(
            spec,
            options.output,
            defaults=defaults,
            weights=options.weights,
            overwrite=options.overwrite,
            selection=selection,
        )
        while rows := list(itertools.islice(todo, slice_rows)):
            lock.check()
            before = dataclasses.replace(
                whole, done_before=whole.done_before + selection.done, failed_before=selection.failed
            )
            selection.done = 0
            whole = _together(before, _run_slice(rows, options, before, on_progress))
            joined = summary.joined(joined, summary.read(options.output))
        whole.done_before += selection.done
        whole.failed_before = selection.failed
        lock.check()
        if joined:
            _write_summary(joined, options, whole)
        else:
            _renew_passed_over(options.output, whole)
    if not whole.total and on_progress:
        on_progress(whole)
    return whole


def _run_slice(
    rows: Sequence[tuple[PhotoRow, str]],
    options: RunOptions,
    before: Progress,
    on_progress: Callable[[Progress], None] | None,
) -> Progress:
    """Compute one slice of an archive, and put it into the index before and after.

    Args:
        rows: of the slice, with their fingerprints.
        options: of the whole run.
        before: progress of the slices before.
        on_progress: called with the progress of the whole run.
    """
    index.update(options.output, rows, outcomes={})
    own = options.model_copy(update={"max_failures": options.max_failures.after(failures(before.counts))})
    progress = run_rows([one.row for one, _ in rows], own, on_progress=_of_whole(before, on_progress))
    index.update(options.output, rows, outcomes=index.outcomes_of(options.output, rows))
    return progress


def _write_summary(joined: dict[str, Any], options: RunOptions, whole: Progress) -> None:
    """Write the summary of the whole run in the place of the last slice's own."""
    joined["plan"]["done"] = whole.done_before
    joined["passed_over"] = whole.passed_over.to_json()
    joined["job"] |= {"max_failures": str(options.max_failures), "tolerate": str(options.tolerate)}
    try:
        summary.write(options.output, joined)
    except storage.StorageError as error:
        raise RunBroken(f"every row has its outcome, but the end could not be put in order: {error}") from error


def _renew_passed_over(output: str, whole: Progress) -> None:
    """Write into the summary of the last run what is passed over now, where nothing was left to compute."""
    last, now = summary.read(output), whole.passed_over.to_json()
    if last and last.get("passed_over") != now:
        summary.write(output, {**last, "passed_over": now})


def _of_whole(before: Progress, on_progress: Callable[[Progress], None] | None) -> Callable[[Progress], None] | None:
    """Return a function that takes the progress of a slice, and passes on that of the whole run."""
    return None if on_progress is None else lambda part: on_progress(_together(before, part))


def _together(before: Progress, part: Progress) -> Progress:
    """Return the progress of some slices and the next one as that of one run."""
    return dataclasses.replace(
        part,
        total=before.total + part.total,
        done_before=before.done_before + part.done_before,
        quarantined_before=before.quarantined_before + part.quarantined_before,
        failed_before=before.failed_before,
        counts=before.counts + part.counts,
        failures=[*before.failures, *part.failures][:100],
        warnings=[*before.warnings, *part.warnings][:100],
        warned=before.warned + part.warned,
        names=before.names | part.names,
        works=part.works,
        remarks=tuple(dict.fromkeys((*before.remarks, *part.remarks))),
        passed_over=before.passed_over,
        retries=before.retries + part.retries,
        began=before.began,
        seconds=before.seconds + part.seconds,
    )
