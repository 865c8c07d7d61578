"""Any job, whatever its kind: run it, count it, say what it would cost. The command line and clusters come in here."""

from collections.abc import Callable, Iterator

from pipeline.archives import rows_to_do, run_archive
from pipeline.encoder import load_encoder
from pipeline.flow import Estimate, estimate, estimate_rows, run_rows
from pipeline.grids import Expansion, expand, grid_of, run_grid
from pipeline.manifest import Manifest, Row, check_covered, validate
from pipeline.options import NO_LIMIT, Encoding, FailureLimit, Resources, RunOptions
from pipeline.outputs import Progress, grid_runs, layout
from pipeline.specs import ArchiveJob, GridJob, JobFile, ManifestJob


def execute(
    job: JobFile,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    address: str | None = None,
    overwrite: bool = False,
    force: bool = False,
) -> Progress:
    """Run a job to its end: what is not done yet.

    Args:
        job: as `jobs.jobfile.load` gives it.
        on_progress: called when there is a plan and after every row.
        address: of a Ray cluster; None: the one this process was submitted to, else one of its own here.
        overwrite: compute rows again that are done.
        force: take the lock of the output from another run.

    Raises:
        ValueError: if the job's manifest, archive or grid cannot be used; nothing was started.
        WeightsError: likewise for the encoder.
        StorageError: likewise for storage.
        RunBroken: if work that had begun could not go on.
    """
    asked = _asked(job, address=address, overwrite=overwrite, force=force)
    match job:
        case ManifestJob():
            return run_rows(manifest_of(job).rows, asked, on_progress=on_progress)
        case ArchiveJob():
            return run_archive(job, asked, defaults=job.defaults, on_progress=on_progress)
        case GridJob():
            return run_grid(expansion_of(job).rows, asked, name=job.name, keep=job.keep, on_progress=on_progress)


def _asked(job: JobFile, *, address: str | None, overwrite: bool, force: bool) -> RunOptions:
    """The job as the pipeline knows it."""
    limit = job.limits.max_failures
    encoding = Encoding(quality=job.quality, keep_exif=not job.strip) if isinstance(job, ArchiveJob) else Encoding()
    return RunOptions(
        output=job.output,
        weights=job.weights,
        resources=_resources(job, address),
        overwrite=overwrite,
        max_attempts=job.limits.max_attempts,
        stall_timeout=job.limits.stall_timeout,
        max_failures=FailureLimit.parse(str(limit)) if limit is not None else NO_LIMIT,
        force=force,
        source=job.model_dump(mode="json", exclude_defaults=True, exclude={"cluster"}),
        encoding=encoding,
    )


def _resources(job: JobFile, address: str | None) -> Resources:
    return job.resources.resources(address, job.limits.row_timeout)


def manifest_of(job: ManifestJob) -> Manifest:
    """The job's manifest, read and validated as a whole."""
    return validate(list(job.manifest), defaults=job.defaults, weights=job.weights)


def expansion_of(job: GridJob) -> Expansion:
    """The job's grid, expanded and held against the encoder."""
    expansion = expand(job, defaults=job.defaults, file=job.name)
    check_covered(expansion.rows, load_encoder(job.weights))
    return expansion


def rows_of(job: JobFile, *, overwrite: bool = False) -> Iterator[Row]:
    """What the job asks for; of an archive, what is new or changed, lazily, or all. It raises what `execute` does."""
    match job:
        case ManifestJob():
            return iter(manifest_of(job).rows)
        case ArchiveJob():
            return (
                one.row
                for one, _ in rows_to_do(
                    job, job.output, defaults=job.defaults, weights=job.weights, overwrite=overwrite
                )
            )
        case GridJob():
            return iter(expansion_of(job).rows)


def estimate_job(
    job: JobFile, *, address: str | None = None, rate: float | None = None, overwrite: bool = False
) -> Estimate:
    """What running the job would come to; nothing is started. The arguments are those of `pipeline.flow.run.estimate`.

    A grid is computed as a whole each time, so nothing of it is done before.
    """
    options = _asked(job, address=address, overwrite=overwrite, force=False)
    if isinstance(job, ManifestJob):
        return estimate(list(job.manifest), options, defaults=job.defaults, rate=rate)
    if isinstance(job, GridJob):
        options = options.model_copy(update={"output": ""})
    return estimate_rows(list(rows_of(job, overwrite=overwrite)), options, rate=rate)


def results_of(job: JobFile) -> str:
    """The output that has the results of the run that has just ended: of a grid, that of its last one."""
    if not isinstance(job, GridJob):
        return job.output
    rows, sha = expansion_of(job).rows, load_encoder(job.weights).sha256
    grid = grid_of(rows, sha)
    ours = [one for one in grid_runs.all_runs(job.output) if one.grid == grid]
    return layout.run_folder(job.output, ours[0].id) if ours else job.output
