"""Execute any job, whatever its kind: the command line, notebooks and submitted jobs all come in here."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline import storage
from pipeline.archives import Selection, rows_to_do
from pipeline.encoder import outline_of
from pipeline.grids import Expansion, expand
from pipeline.manifest import Manifest, Row, check_covered
from pipeline.options import RunOptions, under_access
from pipeline.outputs import Progress, grid_runs, layout, provenance
from pipeline.planning import validated
from pipeline.specs import ArchiveJob, GridJob, JobFile, ManifestJob, ReportSection

if TYPE_CHECKING:  # Ray comes along, which is not loaded before something is to be computed or estimated
    from pipeline.flow import Estimate


@dataclass(frozen=True)
class RetryJob:
    """A job that computes rows of an output again, without their manifest.

    Attributes:
        statuses: which rows: failed, quarantined, or both.
        report: what a report says beside the results.
    """

    statuses: tuple[str, ...]
    report: ReportSection = field(default_factory=ReportSection)


Job = JobFile | RetryJob
"""What `execute` takes: a job of any kind."""


@under_access
def execute(job: Job, options: RunOptions, on_progress: Callable[[Progress], None] | None = None) -> Progress:
    """Run a job to its end, computing only the rows that are not done yet.

    Args:
        job: which rows.
        options: how they are computed and where results go; `pipeline.specs.options_of` makes them from a job file's.
        on_progress: called when there is a plan and after every row.

    Raises:
        ValueError: if the job's manifest, archive or grid cannot be used; nothing was started.
        WeightsError: if the encoder is not to be had; nothing was started.
        StorageError: if something cannot be read or written; nothing was started.
        RunBroken: if work that had begun could not go on.
    """
    from pipeline.archives import run_archive
    from pipeline.flow import retry, run
    from pipeline.grids import run_grid

    match job:
        case ManifestJob():
            return run(list(job.manifest), options, defaults=job.defaults, on_progress=on_progress)
        case ArchiveJob():
            return run_archive(job, options, defaults=job.defaults, on_progress=on_progress)
        case GridJob():
            rows = expansion_of(job, options).rows
            return run_grid(rows, options, name=job.name, keep=job.keep, on_progress=on_progress)
        case RetryJob():
            return retry(job.statuses, options, on_progress=on_progress)


@under_access
def manifest_of(job: ManifestJob, options: RunOptions) -> Manifest:
    """Return a job's manifest, read and validated as a whole.

    Raises:
        ManifestError: with every problem.
        WeightsError: if the encoder is not available.
        StorageError: if the results in the output cannot be read.
    """
    return validated(list(job.manifest), options, defaults=job.defaults)


@under_access
def expansion_of(job: GridJob, options: RunOptions) -> Expansion:
    """Return the rows of a job's grid, checked against the encoder.

    Raises:
        ValueError: if the grid cannot be expanded, or the encoder lacks a layer.
        WeightsError: if the encoder is not to be had.
    """
    expansion = expand(job, defaults=job.defaults, file=job.name)
    check_covered(expansion.rows, outline_of(options.weights))
    return expansion


def rows_of(job: JobFile, options: RunOptions, selection: Selection | None = None) -> Iterator[Row]:
    """Yield the rows of a job; of an archive, lazily, those that are new or changed, or all with `overwrite`.

    Args:
        job: of any kind that a job file may have.
        options: as for `execute`.
        selection: where photos of an archive are counted, and what is passed over.

    Raises:
        ValueError: if the job's manifest, archive or grid cannot be used.
        WeightsError: if the encoder is not to be had.
        StorageError: if something cannot be read.
    """
    match job:
        case ManifestJob():
            yield from manifest_of(job, options).rows
        case ArchiveJob():
            todo = rows_to_do(
                job,
                options.output,
                defaults=job.defaults,
                weights=options.weights,
                overwrite=options.overwrite,
                selection=selection,
            )
            yield from (one.row for one, _ in todo)
        case GridJob():
            yield from expansion_of(job, options).rows


@under_access
def estimate_job(job: Job, options: RunOptions, *, rate: float | None = None) -> "Estimate":
    """Estimate the work and time that running a job would take; nothing is started.

    A grid is computed as a whole each time, so that nothing of it is done before.

    Args:
        job: of any kind.
        options: as for `execute`; without an output nothing is done before.
        rate: multiply-adds per second of one actor; None: this machine's, from a second's work.

    Raises:
        ValueError: if the job's manifest, archive or grid cannot be used.
        WeightsError: if the encoder is not available.
        StorageError: if something cannot be read.
    """
    from pipeline.flow import estimate, estimate_retry, estimate_rows

    if isinstance(job, ManifestJob):
        return estimate(list(job.manifest), options, defaults=job.defaults, rate=rate)
    if isinstance(job, RetryJob):
        return estimate_retry(job.statuses, options, rate=rate)
    selection = Selection()
    rows = list(rows_of(job, options, selection))
    if isinstance(job, GridJob):
        options = options.model_copy(update={"output": ""})
    whole = estimate_rows(rows, options, rate=rate)
    return dataclasses.replace(whole, done=whole.done + selection.done, passed_over=selection.passed_over)


@under_access
def results_of(job: Job, options: RunOptions) -> str:
    """Return the output with the results of the run that has just ended: of a grid, that of its last run."""
    if not isinstance(job, GridJob):
        return options.output
    grid = _grid_of(job, options)
    ours = [one for one in grid_runs.all_runs(options.output) if one.grid == grid]
    return layout.run_folder(options.output, ours[0].id) if ours else options.output


@under_access
def output_at_work(job: Job, options: RunOptions) -> Callable[[], str | None]:
    """Return a function that says where a run of a job writes to while it goes; of a grid None until it has begun to.

    Raises:
        ValueError: if the job's grid cannot be expanded.
        WeightsError: if the encoder is not to be had.
    """
    output = storage.absolute(options.output)
    if not isinstance(job, GridJob):
        return lambda: output
    from pipeline.grids import run_at_work

    grid, started_at = _grid_of(job, options), provenance.now()
    return lambda: run_at_work(output, grid, started_at=started_at)


def _grid_of(job: GridJob, options: RunOptions) -> str:
    """Return what stands for the grid of a job among other grids of its output."""
    from pipeline.grids import grid_of

    return grid_of(expansion_of(job, options).rows, outline_of(options.weights).sha256)
