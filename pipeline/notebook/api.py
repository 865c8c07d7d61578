"""For notebooks and programs: plan, run, look at results. The same work, with the same objects, as on a command line.

What to compute is a manifest (a URI, or several), a table of its columns (pandas, Arrow, or a list of mappings), or a
job that was loaded from its file.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import pyarrow as pa

from pipeline import storage
from pipeline.manifest import Records, Source
from pipeline.notebook import html
from pipeline.notebook.shown_results import Results, Shown
from pipeline.options import NO_LIMIT, FailureLimit, RunOptions
from pipeline.outputs import SCHEMA, read_results, run_of

if TYPE_CHECKING:
    from pipeline.flow import Estimate
    from pipeline.options import Device, Resources
    from pipeline.outputs import Progress

JOB_FILES = (".yaml", ".yml")


class Job(Protocol):
    """A job of kind `manifest`, as a job file says it."""

    manifest: str | tuple[str, ...]
    output: str
    defaults: Mapping[str, Any]
    weights: str
    resources: Any
    limits: Any


Asked: TypeAlias = str | os.PathLike[str] | Sequence[str] | Sequence[Mapping[str, Any]] | pa.Table | Job
"""What to compute. Data frames are welcome too: pandas need not be installed, so they have no name here."""


@dataclass(frozen=True)
class Run:
    """A run, while it goes on and after it.

    Attributes:
        output: its folder, a URI.
        progress: rows planned, done before, and finished by status; the first failures.
    """

    output: str
    progress: "Progress"

    @property
    def counts(self) -> dict[str, int]:
        """Rows that this run finished, by status."""
        return {status: count for status, count in sorted(self.progress.counts.items()) if count}

    def results(self, *, curves: bool = True) -> Results:
        """What became of every row in the output, also of those that were done before."""
        return results(self.output, curves=curves)

    def __repr__(self) -> str:
        progress = self.progress
        words = [f"{progress.finished:,} of {progress.total:,} rows"]
        words += [f"{count:,} {status}" for status, count in self.counts.items()]
        words += [f"{progress.done_before:,} done before"] if progress.done_before else []
        words += [f"{progress.quarantined_before:,} quarantined before"] if progress.quarantined_before else []
        return f"Run into {self.output}: {', '.join(words)}, {progress.seconds:.0f} s"

    def _repr_html_(self) -> str:
        return html.of_run(self.progress, repr(self))


def run(
    asked: Asked,
    output: str | None = None,
    *,
    defaults: Mapping[str, object] | None = None,
    weights: str | None = None,
    num_actors: int | None = None,
    min_actors: int | None = None,
    max_actors: int | None = None,
    actors_per_gpu: int | None = None,
    device: "Device | None" = None,
    batch_size: int | None = None,
    address: str | None = None,
    row_timeout: float | None = None,
    max_attempts: int | None = None,
    stall_timeout: float | None = None,
    max_failures: str | None = None,
    overwrite: bool = False,
    force: bool = False,
    on_progress: Callable[["Progress"], None] | None = None,
) -> Run:
    """Compute every row that is not in `output` yet; `nst run` as a function. Shows a bar in a notebook.

    Options are those of `nst run`. What a job says is taken from it where it is not given here, and `defaults` here
    outrank those there, one by one.

    Raises:
        ManifestError: with every problem, by row (from 1) and column; nothing was started.
        ValueError: for something else than rows, or if there is no output.
        WeightsError: if the encoder is not to be had; nothing was started.
        Locked: if another run writes to `output`; nothing was started.
        StorageError: if `output` cannot be written; nothing was started.
        RunBroken: if work that had begun could not go on; the same call goes on from there.
    """
    from pipeline.flow import run as run_pipeline
    from pipeline.options import MAX_ATTEMPTS, STALL_TIMEOUT

    source, job = _source(asked)
    output = output or (job.output if job else None)
    if not output:
        raise ValueError('output: expected a folder for pictures and results, such as run(pairs, "out")')
    output = storage.absolute(output)
    limits = job.limits if job else None
    limit = max_failures or (limits.max_failures if limits else None)
    timeout = row_timeout if row_timeout is not None else (limits.row_timeout if limits else None)
    resources = _resources(
        job,
        address,
        timeout,
        num_actors=num_actors,
        min_actors=min_actors,
        max_actors=max_actors,
        actors_per_gpu=actors_per_gpu,
        device=device,
        batch_size=batch_size,
    )
    with _Bar(output) as bar:

        def report(progress: "Progress") -> None:
            bar.update(progress)
            if on_progress:
                on_progress(progress)

        progress = run_pipeline(
            source,
            RunOptions(
                output=output,
                weights=weights or (job.weights if job else "embedded"),
                resources=resources,
                overwrite=overwrite,
                max_attempts=max_attempts or (limits.max_attempts if limits else MAX_ATTEMPTS),
                stall_timeout=stall_timeout or (limits.stall_timeout if limits else STALL_TIMEOUT),
                max_failures=FailureLimit.parse(limit) if limit else NO_LIMIT,
                force=force,
            ),
            defaults=_defaults(job, defaults),
            on_progress=report,
        )
    return Run(output, progress)


def plan(
    asked: Asked,
    output: str | None = None,
    *,
    defaults: Mapping[str, object] | None = None,
    weights: str | None = None,
    num_actors: int | None = None,
    min_actors: int | None = None,
    max_actors: int | None = None,
    actors_per_gpu: int | None = None,
    device: "Device | None" = None,
    batch_size: int | None = None,
    address: str | None = None,
    overwrite: bool = False,
    rate: float | None = None,
) -> "Estimate":
    """What a run would do and take; `nst plan` as a function. Starts nothing and writes nothing.

    Options are those of `nst plan`; a job's are taken as by `run`.

    Raises:
        ManifestError: with every problem, by row (from 1) and column.
        ValueError: for something else than rows.
        WeightsError: if the encoder is not to be had.
        StorageError: if the results in `output` cannot be read.
    """
    from pipeline.flow import estimate
    from pipeline.notebook.shown_estimate import ShownEstimate

    source, job = _source(asked)
    resources = _resources(
        job,
        address,
        None,
        num_actors=num_actors,
        min_actors=min_actors,
        max_actors=max_actors,
        actors_per_gpu=actors_per_gpu,
        device=device,
        batch_size=batch_size,
    )
    options = RunOptions(
        output=output or (job.output if job else ""),
        weights=weights or (job.weights if job else "embedded"),
        resources=resources,
        overwrite=overwrite,
    )
    found = estimate(source, options, defaults=_defaults(job, defaults), rate=rate)
    return ShownEstimate(**vars(found))


def results(output: str, *, curves: bool = True) -> Results:
    """What became of each row of a run.

    Args:
        output: its folder, a URI; or a grid's, for its latest run; or that with `@previous` behind it.
        curves: read the loss curves too, which are most of the bytes of a large run.

    Raises:
        StorageError: if there are none, or they cannot be read.
    """
    output = storage.absolute(run_of(output))
    columns = [name for name in SCHEMA.names if curves or name != "curve"]
    return Results(read_results(output, columns=columns), output)


def _source(asked: Asked) -> tuple[Source, Job | None]:
    """Rows as a manifest's reader takes them, and the job that they come from."""
    if isinstance(asked, str | os.PathLike):
        uri = os.fspath(asked)
        if uri.lower().endswith(JOB_FILES):
            raise ValueError(f"{uri} is a job file: load it first, with jobs.jobfile.load(pathlib.Path({uri!r}))")
        return uri, None
    if isinstance(asked, pa.Table):
        return Records(asked.to_pylist()), None
    if hasattr(asked, "manifest"):
        job = cast(Job, asked)
        return (job.manifest if isinstance(job.manifest, str) else list(job.manifest)), job
    if "pandas" in sys.modules and isinstance(asked, sys.modules["pandas"].DataFrame):
        frame = cast(Any, asked).astype(object)
        return Records(frame.where(frame.notna(), None).to_dict("records")), None
    if isinstance(asked, Sequence) and all(isinstance(row, Mapping) for row in asked):
        return Records(cast(Sequence[Mapping[str, Any]], asked)), None
    if isinstance(asked, Sequence) and all(isinstance(uri, str) for uri in asked):
        return list(cast(Sequence[str], asked)), None
    raise ValueError(
        f"{type(asked).__name__}: expected the URI of a manifest, a pandas or Arrow table, a list of rows, or a job of "
        "kind manifest"
    )


def _defaults(job: Job | None, given: Mapping[str, object] | None) -> dict[str, object]:
    return {**(job.defaults if job else {}), **(given or {})}


def _resources(job: Job | None, address: str | None, row_timeout: float | None, **given: Any) -> "Resources":
    from pipeline.options import Interruptions, Resources, overridden

    said = job.resources.model_dump() if job else {}
    return Resources(**overridden(said, given), address=address, interruptions=Interruptions(row_timeout=row_timeout))


class _Bar:
    """Where a run stands, in a notebook's cell while it goes on; nothing elsewhere."""

    def __init__(self, output: str) -> None:
        self._output, self._shown = output, 0.0
        self._cell: Any = None

    def __enter__(self) -> "_Bar":
        ipython = sys.modules.get("IPython")
        if ipython is not None and ipython.get_ipython() is not None:
            ipython = cast(Any, ipython)
            self._cell = ipython.display.display(Shown("<p>Starting …</p>", "Starting …"), display_id=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._cell is not None:
            self._cell.update(Shown("", ""))  # what the call returns says it all

    def update(self, progress: "Progress") -> None:
        """Show how far a run is, a few times a second at most."""
        now = time.monotonic()
        if self._cell is not None and (now - self._shown > 0.25 or progress.finished == progress.total):
            self._shown = now
            self._cell.update(Run(self._output, progress))
