"""Plan, run and look at results from notebooks and programs: the work of the command line, as functions.

What to compute is a manifest (a URI, or several), a table of its columns (pandas, Arrow, or a list of mappings), or a
job of any kind, such as `jobs.jobfile.load` returns.
"""

import inspect
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack, cast

import pyarrow as pa

from nst_kernel.params import StyleParams, did_you_mean
from pipeline import storage
from pipeline.manifest import Records, Source
from pipeline.notebook import html
from pipeline.notebook.shown_results import Results, Shown
from pipeline.notebook.words import in_words
from pipeline.options import GIVEN, ColorProfile, Device, RunOptions
from pipeline.outputs import SCHEMA, read_results, run_of
from pipeline.process import is_native, native_stderr_hidden
from pipeline.specs import (
    ArchiveJob,
    GridJob,
    JobFile,
    ManifestJob,
    fields_with_options,
    job_of,
    options_of,
    with_options,
)
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.flow import Estimate
    from pipeline.outputs import Progress

JOB_FILES = (".yaml", ".yml")

# Ray recommends a package for its own widgets, in red below the first cell that loads it.
logging.getLogger("ray.widgets").setLevel(logging.WARNING)

Place: TypeAlias = str | os.PathLike[str]
"""A path or URI."""

Rows: TypeAlias = Place | Sequence[Place] | Sequence[Mapping[str, Any]] | pa.Table | JobFile
"""What to compute. Data frames are welcome too: pandas need not be installed, so they have no name here."""

Defaults: TypeAlias = Mapping[str, object] | StyleParams | None
"""Style parameters for rows that do not give them: by name, or an object, of which what its preset says is open."""


class Given(TypedDict, total=False):
    """Options of a run that a notebook may give, for type checkers; a test compares them with the models."""

    weights: str | None
    num_actors: int | None
    batch_size: int | None
    address: str | None
    row_timeout: float | None
    min_actors: int | None
    max_actors: int | None
    actors_per_gpu: int | None
    device: Device | None
    overwrite: bool | None
    override: bool | None
    max_attempts: int | None
    stall_timeout: float | None
    max_failures: str | None
    tolerate: str | None
    force: bool | None
    allow_read: tuple[str, ...] | None
    allow_write: tuple[str, ...] | None
    max_file_bytes: int | None
    decode_timeout: float | None
    max_megapixels: float | None
    depth: int | None
    color_profile: ColorProfile | None


@dataclass(frozen=True)
class Run:
    """A run that `run` has started: its output, its progress, and its results once they are there.

    Attributes:
        output: its folder, a URI.
        progress: rows planned, done before, and finished by status; the first failures.
    """

    output: str
    progress: "Progress"

    @property
    def counts(self) -> dict[str, int]:
        """The number of rows that this run finished, by status."""
        return {status: count for status, count in sorted(self.progress.counts.items()) if count}

    def results(self, *, curves: bool = True) -> Results:
        """Read the results of every row in the output, also of rows that were done before."""
        return results(self.output, curves=curves)

    def __repr__(self) -> str:
        progress = self.progress
        words = [f"{progress.finished:,} of {counted(progress.total, 'row')}"]
        words += [f"{count:,} {status}" for status, count in self.counts.items()]
        words += [f"{progress.warned:,} with a warning"] if progress.warned else []
        words += [f"{progress.done_before:,} done before"] if progress.done_before else []
        words += [f"{progress.quarantined_before:,} quarantined before"] if progress.quarantined_before else []
        words += [f"{progress.passed_over.count} passed over"] if progress.passed_over else []
        return f"Run into {storage.without_secrets(self.output)}: {', '.join(words)}, {progress.seconds:.0f} s"

    def _repr_html_(self) -> str:
        return html.of_run(self.progress, repr(self))


@in_words
def run(
    rows: Rows,
    output: Place | None = None,
    *,
    defaults: Defaults = None,
    on_progress: Callable[["Progress"], None] | None = None,
    **options: Unpack[Given],
) -> Run:
    """Compute every row that is not in `output` yet; `nst run` as a function. Shows a bar in a notebook.

    Args:
        rows: what to compute.
        output: folder for pictures and results, any URI; by default the job's.
        defaults: style parameters for rows that do not give them; they outrank those of a job, one by one.
        on_progress: called when the plan is made and after every row.
        **options: those of `nst run`, which outrank the job's.

    Raises:
        ManifestError: with every problem, by row (from 1) and column; nothing was started.
        ValueError: for something else than rows, or if there is no output; nothing was started.
        WeightsError: if the encoder is not to be had; nothing was started.
        Locked: if another run writes to `output`; nothing was started.
        StorageError: if `output` cannot be written; nothing was started.
        RunBroken: if work that had begun could not go on; the same call goes on from there.
    """
    from pipeline.execute import execute, results_of

    job, how = _job(rows, output, defaults, options)
    if not how.output:
        raise ValueError('output: expected a folder for pictures and results, such as run(pairs, "out")')
    how = how.model_copy(update={"output": storage.absolute(how.output)})
    # What Ray's native code warns of would stand in red below a notebook's cell.
    with native_stderr_hidden(unless=is_native(sys.stderr)), _Bar(how.output) as bar:

        def report(progress: "Progress") -> None:
            bar.update(progress)
            if on_progress:
                on_progress(progress)

        progress = execute(job, how, report)
    ended = Run(results_of(job, how), progress)
    bar.end(repr(ended))
    return ended


@in_words
def plan(
    rows: Rows,
    output: Place | None = None,
    *,
    defaults: Defaults = None,
    rate: float | None = None,
    **options: Unpack[Given],
) -> "Estimate":
    """Return what a run would do and take; `nst plan` as a function. Starts nothing and writes nothing.

    Args:
        rows: as for `run`.
        output: as for `run`: what is done there is left out.
        defaults: as for `run`.
        rate: multiply-adds per second of one actor; None: this machine's, from a second's work.
        **options: as for `run`.

    Raises:
        ManifestError: with every problem, by row (from 1) and column.
        ValueError: for something else than rows.
        WeightsError: if the encoder is not to be had.
        StorageError: if the results in `output` cannot be read.
    """
    from pipeline.execute import estimate_job
    from pipeline.notebook.shown_estimate import ShownEstimate

    job, how = _job(rows, output, defaults, options)
    return ShownEstimate(**vars(estimate_job(job, how, rate=rate)))


def _with_named_options(function: Callable[..., Any]) -> None:
    """Show the options of a run by name in the signature of a function, for help and completion."""
    own = inspect.signature(function)
    kinds = inspect.Parameter
    parameters = [parameter for parameter in own.parameters.values() if parameter.kind != kinds.VAR_KEYWORD]
    parameters += [
        kinds(name, kinds.KEYWORD_ONLY, default=None, annotation=option.annotation | None)
        for name, option in GIVEN.items()
        if name not in own.parameters
    ]
    cast(Any, function).__signature__ = own.replace(parameters=parameters)


_with_named_options(run)
_with_named_options(plan)


@in_words
def results(output: Place, *, curves: bool = True) -> Results:
    """Read the results of a run, one for each row.

    Args:
        output: its folder, a URI; or a grid's, for its latest run; or that with `@previous` behind it.
        curves: read the loss curves too, which are most of the bytes of a large run.

    Raises:
        StorageError: if there are none, or they cannot be read.
    """
    output = storage.absolute(run_of(os.fspath(output)))
    columns = [name for name in SCHEMA.names if curves or name != "curve"]
    return Results(read_results(output, columns=columns), output)


def _job(rows: Rows, output: Place | None, defaults: Defaults, options: Given) -> tuple[JobFile, RunOptions]:
    """Return the job that computes rows, and the options of its run."""
    unknown = options.keys() - GIVEN.keys()
    if unknown:
        raise UnknownOption("; ".join(f"{name}: {did_you_mean(name, GIVEN) or _known()}" for name in sorted(unknown)))
    place = None if output is None else os.fspath(output)
    given = {name: value for name, value in {**options, "output": place}.items() if value is not None}
    values = _by_name(defaults)
    others = {name: value for name, value in given.items() if name in ("address", "overwrite", "override", "force")}
    others["settings"] = values if others.get("override") else {}
    if isinstance(rows, ManifestJob | ArchiveJob | GridJob):
        job = with_options(rows, given, values)
        return job, options_of(job, **others)
    source = _source(rows)
    members = [source] if isinstance(source, str | Records) else list(source)
    fields = {"kind": "manifest", "name": "notebook", "manifest": members, "output": "."}
    job = job_of(fields_with_options(fields, given, values), as_written=True)
    # Without an output, nothing is done before.
    return job, options_of(job, output=given.get("output", ""), source={}, **others)


class UnknownOption(TypeError):
    """Raised for an option that there is not; the message names the one that was probably meant."""


def _known() -> str:
    """Return which options there are, in words."""
    return f"expected one of {', '.join(GIVEN)}"


def _by_name(defaults: Defaults) -> dict[str, object]:
    """Return style parameters by name, paths as text; of an object those in which it differs from its preset."""
    if isinstance(defaults, StyleParams):
        usual = {**StyleParams(preset=defaults.preset).all_values(), "preset": StyleParams().preset}
        return {name: value for name, value in defaults.to_json().items() if value != usual[name]}
    paths = {name: os.fspath(value) for name, value in (defaults or {}).items() if isinstance(value, os.PathLike)}
    return {**(defaults or {}), **paths}


def _source(rows: Any) -> Source:
    """Return what a person passes as rows in the form that the reader of manifests takes.

    Raises:
        ValueError: for something else than rows.
    """
    if isinstance(rows, str | os.PathLike):
        uri = os.fspath(rows)
        if storage.without_query(uri).lower().endswith(JOB_FILES):
            raise ValueError(f"{uri} is a job file: load it first, with jobs.jobfile.load({uri!r})")
        return str(uri)
    if isinstance(rows, pa.Table):
        return Records(rows.to_pylist())
    if "pandas" in sys.modules and isinstance(rows, sys.modules["pandas"].DataFrame):
        frame = cast(Any, rows).astype(object)
        return Records(frame.where(frame.notna(), None).to_dict("records"))
    if isinstance(rows, Sequence) and all(isinstance(row, Mapping) for row in rows):
        return Records(rows)
    if isinstance(rows, Sequence) and all(isinstance(uri, str | os.PathLike) for uri in rows):
        return [os.fspath(uri) for uri in rows]
    raise ValueError(
        f"{type(rows).__name__}: expected the URI of a manifest, a pandas or Arrow table, a list of rows, or a job"
    )


class _Bar:
    """A display of a run's progress: in a notebook's cell, or in a line on the terminal of a script."""

    def __init__(self, output: str) -> None:
        self._output, self._shown = output, 0.0
        self._cell: Any = None
        self._terminal = False
        self._width = 0

    def __enter__(self) -> "_Bar":
        ipython = sys.modules.get("IPython")
        if ipython is not None and ipython.get_ipython() is not None:
            ipython = cast(Any, ipython)
            self._cell = ipython.display.display(Shown("<p>Starting …</p>", "Starting …"), display_id=True)
        else:
            self._terminal = sys.stderr.isatty()
            self._write("Starting …")
        return self

    def __exit__(self, *_: object) -> None:
        self._write("")
        if self._cell is not None:
            self._cell.update(Shown("", ""))  # what the call returns says it all

    def update(self, progress: "Progress") -> None:
        """Show how far a run is, a few times a second at most."""
        now = time.monotonic()
        if now - self._shown <= 0.25 and progress.finished != progress.total:
            return
        self._shown = now
        if self._cell is not None:
            self._cell.update(Run(self._output, progress))
        else:
            self._write(f"{progress.finished:,} of {counted(progress.total, 'row')}")

    def end(self, line: str) -> None:
        """Say on a terminal what a run came to; a notebook shows what the call returns."""
        if self._terminal:
            sys.stderr.write(f"{line}\n")

    def _write(self, line: str) -> None:
        """Write a line over the last one on a terminal."""
        if self._terminal:
            sys.stderr.write(f"\r{line:{self._width}}" + ("" if line else "\r"))
            sys.stderr.flush()
            self._width = len(line)
