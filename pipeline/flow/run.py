"""The whole flow, top to bottom: manifest, plan, fetch, optimise, write, results."""

import contextlib
import dataclasses
import pickle
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from ray.data import TaskPoolStrategy

from nst_kernel import LayerMissing, Weights
from pipeline.cluster.actor_pool import FETCH_CPUS, WRITE_CPUS, Actors, actors, connect
from pipeline.encoder import load_encoder
from pipeline.flow import legs as feed
from pipeline.flow.metrics import RunMetrics, watched
from pipeline.manifest.formats import Source, described
from pipeline.manifest.reader import Manifest, ManifestError, Row, RowProblem, read_manifest
from pipeline.options.failure_limit import NO_LIMIT, FailureLimit, failures
from pipeline.options.resources import Interruptions, Resources
from pipeline.outputs import summary
from pipeline.outputs import table as result_table
from pipeline.outputs.compact import compact
from pipeline.outputs.progress import Progress as Progress
from pipeline.planning.batch import Batch, Fetched, Optimised
from pipeline.planning.plan import Plan, plan
from pipeline.process import draining, watchdog
from pipeline.process.interrupt import wakeable
from pipeline.recovery import ledger
from pipeline.recovery import orphans as outlived
from pipeline.recovery import saved_states as midway
from pipeline.recovery.guard import guarded_fetch, guarded_optimise, guarded_write
from pipeline.recovery.ledger import Ledger
from pipeline.recovery.run_lock import Locked, RunLock
from pipeline.stages.fetch import fetch
from pipeline.stages.resumable import Stints
from pipeline.stages.write import Encoding, Writer
from pipeline.storage import operations as storage

Kernel = Callable[..., Callable[[Fetched], Optimised]]
"""Made on an actor of `weights`, `threads` and `stints`; optimises one fetched batch after the other."""


def style_actor(weights: str, **options: Any) -> Callable[[Fetched], Optimised]:
    """The kernel that runs are for."""
    from pipeline.stages.optimise import StyleActor

    return StyleActor(weights, **options)


def run(
    manifest: Source,
    *,
    output: str,
    defaults: Mapping[str, object] | None = None,
    weights: str = "embedded",
    resources: Resources | None = None,
    overwrite: bool = False,
    max_attempts: int = ledger.MAX_ATTEMPTS,
    stall_timeout: float = watchdog.STALL_TIMEOUT,
    max_failures: FailureLimit = NO_LIMIT,
    force: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    kernel: Kernel = style_actor,
) -> Progress:
    """Compute every row of a manifest that is not in `output` yet.

    Args:
        manifest: one file, several, or a folder, at any URI; or rows at hand.
        output: a folder at any URI; pictures go to `images/`, the table to `results/`.
        defaults: style parameters for rows that do not give them.
        weights: `embedded`, `imagenet`, or the URI of a file.
        resources: what the run may use.
        overwrite: compute rows again that are done.
        max_attempts: deaths of its process after which a row is quarantined.
        stall_timeout: seconds without a sign of life after which a process at work is ended, which is such a death.
        max_failures: rows that may fail or be quarantined before the run stops.
        force: take the lock of the output even if another run holds it.
        on_progress: called when the plan is made and after every row.
        kernel: what optimises, made anew on each actor.

    Raises:
        ManifestError: with every problem of the manifest; nothing was started.
        WeightsError: if the encoder is not to be had; nothing was started.
        Locked: if another run writes to `output`; nothing was started.
        StorageError: if `output` cannot be written; nothing was started.
        TooManyFailures: if more rows failed than may; what is finished is kept.
        RunBroken: if work that had begun could not go on.
    """
    asked = validate(manifest, defaults=defaults, weights=weights)
    job = Job(
        output=storage.absolute(output),
        weights=weights,
        resources=resources or Resources(),
        overwrite=overwrite,
        max_attempts=max_attempts,
        stall_timeout=stall_timeout,
        max_failures=max_failures,
        force=force,
        source={"manifest": described(manifest), "defaults": defaults or {}},
    )
    return run_rows(asked.rows, job, on_progress=on_progress, kernel=kernel)


@dataclass(frozen=True)
class Job:
    """How rows are to be computed; the arguments of `run`.

    Attributes:
        source: where the rows come from, for the summary.
        release: whether quarantined rows are tried again, as if none of their processes had died.
        encoding: how pictures are written; what is done already is not written again for it.
    """

    output: str
    weights: str = "embedded"
    resources: Resources = field(default_factory=Resources)
    overwrite: bool = False
    max_attempts: int = ledger.MAX_ATTEMPTS
    stall_timeout: float = watchdog.STALL_TIMEOUT
    max_failures: FailureLimit = NO_LIMIT
    force: bool = False
    source: Mapping[str, object] = field(default_factory=dict)
    release: bool = False
    encoding: Encoding = field(default_factory=Encoding)


def run_rows(
    rows: Iterable[Row],
    job: Job,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    kernel: Kernel = style_actor,
) -> Progress:
    """Compute rows, as `run`; it raises the same, but for a manifest's errors."""
    started_at, output = result_table.now(), job.output
    encoder = load_encoder(job.weights)
    # A row may take an hour: whoever waits for one is woken when the lock is lost.
    with wakeable() as wake, RunLock(output, force=job.force, on_loss=wake) as lock:
        for folder in (result_table.images_folder(output), result_table.results_folder(output)):
            storage.check_writable(folder)
        connect(job.resources.address)
        pool = actors(job.resources)
        done, attempts = result_table.finished(output), ledger.take_stock(output)
        if job.release:
            ledger.forget(attempts, set(done.quarantined.items()))
        work = plan(
            rows if isinstance(rows, Sequence) else list(rows),
            encoder_sha256=encoder.sha256,
            finished={} if job.overwrite else done.fingerprints,
            owners=done.owners,
            quarantined={} if job.release else done.quarantined,
            deaths={} if job.release else ledger.deaths_by_row(attempts),
            max_attempts=job.max_attempts,
            limits=pool.limits(job.resources.batch_size),
        )
        progress = Progress(total=work.rows, done_before=work.done, quarantined_before=work.quarantined)
        if on_progress:
            on_progress(progress)
        _stop_if_hopeless(work, progress, job.max_failures)
        writer = Writer(output, encoder=encoder.name, encoder_sha256=encoder.sha256, encoding=job.encoding)
        pinned = f"{job.weights.partition('#')[0]}#sha256={encoder.sha256}"  # actors read the file themselves
        notes = Ledger(output, lock.owner, job.max_attempts, job.stall_timeout)
        outcomes = flow(work, pinned, writer, pool, notes, interruptions=job.resources.interruptions, kernel=kernel)
        metrics = RunMetrics()
        try:
            for row in outcomes:
                progress.add(row)
                metrics.add(row)
                if on_progress:
                    on_progress(progress)
                lock.check()
                _stop_if_failing(progress, job.max_failures)
        except (KeyboardInterrupt, SystemExit, TooManyFailures):  # SystemExit: what Ray makes of SIGTERM
            outcomes.close()
            if lock.lost:
                raise RunBroken(lock.loss) from None
            with contextlib.suppress(storage.StorageError):  # they stay suspect then, which costs time and no row
                ledger.forgive(output, notes.run)
            raise
        except Locked as error:
            outcomes.close()
            raise RunBroken(str(error)) from error
        if progress.finished < progress.total:
            raise RunBroken(f"{progress.total - progress.finished:,} of {progress.total:,} rows came to no outcome")
        try:
            _put_in_order(output, work, done)
            summary.write(output, _summary_of(job, work, progress, encoder=encoder, started_at=started_at))
        except storage.StorageError as error:
            raise RunBroken(f"every row has its outcome, but the end could not be put in order: {error}") from error
        return progress


def _put_in_order(output: str, work: Plan, done: result_table.Finished) -> None:
    """Every planned row has its outcome in the results now, so that nothing is left to learn from its deaths."""
    left = ledger.read_attempts(output)
    suspects = {row for attempt in left for row in attempt.rows}
    settled = {row for batch in work.batches for row in ledger.asked(batch.rows) if row in suspects}
    ledger.forget(left, settled | (suspects & done.fingerprints.items()))
    midway.sweep(output)
    storage.sweep(output)
    compact(output)


def _summary_of(
    job: Job, work: Plan, progress: Progress, *, encoder: Weights, started_at: datetime
) -> Mapping[str, object]:
    planned = {
        "rows": work.rows,
        "batches": len(work.batches),
        "done": work.done,
        "quarantined": work.quarantined,
    }
    return summary.of(
        {**dataclasses.asdict(job), "max_failures": str(job.max_failures)},
        planned,
        progress.counts,
        retries=progress.retries,
        encoder=encoder,
        started_at=started_at,
    )


def _stop_if_hopeless(work: Plan, progress: Progress, limit: FailureLimit) -> None:
    """Those that failed at planning count from the start, although their turn comes last."""
    known = [planned for batch in work.batches for planned in batch.rows if planned.failure]
    if limit.exceeded(len(known), progress.total) and known[0].failure:
        raise TooManyFailures(_hopeless(len(known), "at planning", progress.total, limit, known[0].failure.error))


def _stop_if_failing(progress: Progress, limit: FailureLimit) -> None:
    failed = failures(progress.counts)
    if limit.exceeded(failed, progress.total):
        said = progress.failures[-1][1]
        raise TooManyFailures(_hopeless(failed, f"of {progress.finished:,} finished", progress.total, limit, said))


def _hopeless(failed: int, when: str, total: int, limit: FailureLimit, example: str) -> str:
    return (
        f"{failed:,} rows failed {when}, more than the {limit} of {total:,} that --max-failures allows. "
        f"One of them: {example}"
    )


def validate(manifest: Source, *, defaults: Mapping[str, object] | None = None, weights: str = "embedded") -> Manifest:
    """Read a whole manifest and hold it against the encoder; nothing is started.

    Raises:
        ManifestError: with every problem; a layer that the encoder lacks is one.
        WeightsError: if the encoder is not to be had.
    """
    encoder = load_encoder(weights)
    asked = read_manifest(manifest, encoder_sha256=encoder.sha256, defaults=defaults)
    check_covered(asked.rows, encoder)
    return asked


def check_covered(rows: Iterable[Row], encoder: Weights) -> None:
    """Hold rows against the encoder.

    Raises:
        ManifestError: with every row that asks for a layer that the encoder lacks.
    """
    problems, covered = [], set[tuple[str, ...]]()
    for row in rows:
        if (layers := row.params.layers) in covered:
            continue
        try:
            encoder.check_covers(layers)
            covered.add(layers)
        except LayerMissing as error:
            problems.append(RowProblem(row.file, row.number, None, "", str(error)))
    if problems:
        raise ManifestError(problems)


def flow(
    work: Plan,
    weights: str,
    writer: Writer,
    pool: Actors,
    notes: Ledger,
    *,
    interruptions: Interruptions | None = None,
    kernel: Kernel = style_actor,
) -> Generator[Mapping[str, Any]]:
    """Compute the batches of a plan on Ray Data; what became of each row, once it is durable.

    From fetching on a dataset row is one batch, pickled, and a block of its own, so that batches spread over the actors
    and finish one by one. Ray Data schedules and applies back-pressure; what is true is what the writer has committed.
    Ray runs a block again, without end, when its process died; the ledger sees to it that a row which kills it is tried
    only so often.
    """
    write = guarded_write(writer, notes)
    for number, leg in enumerate(feed.legs(work.batches, pool.count)):
        outcomes = (
            feed.dataset(leg)
            .flat_map(
                feed.opened(guarded_fetch(fetch, notes)),
                compute=_tasks(pool.tasks, leg),
                **pool.beside(FETCH_CPUS),
            )
            .map(
                cast(Any, _Stylise),  # Ray Data's hint forgets that a class is welcome here
                fn_constructor_args=(kernel, weights, pool.threads, notes, interruptions),
                compute=pool.strategy(len(leg)),
                num_cpus=pool.num_cpus,
                num_gpus=pool.num_gpus,
            )
            .map(
                lambda row: {"rows": pickle.dumps(write(pickle.loads(row["batch"])))},
                compute=_tasks(pool.tasks, leg),
                **pool.beside(WRITE_CPUS),
            )
        )
        try:
            if number:
                compact(writer.output)  # whoever goes on after a crash has few files to read
            for row in outcomes.iter_rows():
                yield from pickle.loads(row["rows"])
        except Exception as error:
            raise RunBroken(_innermost(error)) from error


def _tasks(most: int, leg: Sequence[Batch]) -> TaskPoolStrategy:
    """Not more than there is work for, which Ray Data would warn of."""
    return TaskPoolStrategy(size=min(most, len(leg)))


class RunBroken(RuntimeError):
    """A run that could not go on; what is finished is kept, and the same call goes on from there."""


class TooManyFailures(RunBroken):
    """More rows failed than may."""


def _innermost(error: BaseException) -> str:
    """What went wrong in a worker, without the layers of Ray around it."""
    while (cause := getattr(error, "cause", None) or error.__cause__) and cause is not error:
        error = cause
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"


class _Stylise:
    """A kernel as a stage."""

    def __init__(
        self, kernel: Kernel, weights: str, threads: int | None, notes: Ledger, interruptions: Interruptions | None
    ) -> None:
        stints = Stints(interruptions, output=notes.output)
        if stints.preemption:
            draining.watch(stints.preemption.on_draining)
            stints.preemption.before_leaving = ledger.leave_in_order
        outlived.leave_after(notes)
        self.optimise = guarded_optimise(watched(kernel(weights, threads=threads, stints=stints)), notes)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"batch": pickle.dumps(self.optimise(pickle.loads(row["batch"])))}
