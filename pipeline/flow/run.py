"""The whole flow, top to bottom: manifest, plan, fetch, optimise, write, results."""

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pipeline import storage
from pipeline.cluster import ActorPool, check_address, connect, pool_on_cluster
from pipeline.encoder import PIN, load_encoder, split_pin
from pipeline.flow.dataset import Kernel, RunBroken, TooManyFailures, flow, style_actor
from pipeline.flow.metrics import RunMetrics, log_outcome
from pipeline.manifest import Row, Source, check_formats, check_originals, described
from pipeline.options import FailureLimit, Resources, RunOptions, failures, under_access
from pipeline.outputs import (
    Finished,
    Progress,
    compact,
    finished,
    layout,
    provenance,
    summary,
)
from pipeline.planning import History, Plan, crashes, output_shapes, plan, validated
from pipeline.process import interruptible, stage
from pipeline.recovery import Ledger, Locked, RunLock, ledger, saved_states
from pipeline.stages import Writer

if TYPE_CHECKING:
    from nst_kernel import Weights


@under_access
def run(
    manifest: Source,
    options: RunOptions,
    *,
    defaults: Mapping[str, object] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    kernel: Kernel = style_actor,
) -> Progress:
    """Compute every row of a manifest that is not in the output yet.

    Args:
        manifest: one file, several, or a folder, at any URI; or rows at hand.
        options: where results go, with what and how; pictures go to `images/` in its output, the table to `results/`.
        defaults: style parameters for rows that do not give them.
        on_progress: called when the plan is made and after every row.
        kernel: what optimises, made anew on each actor.

    Raises:
        ManifestError: with every problem of the manifest; nothing was started.
        WeightsError: if the encoder is not to be had; nothing was started.
        Locked: if another run writes to the output; nothing was started.
        StorageError: if the output cannot be written; nothing was started.
        TooManyFailures: if more rows failed than may; what is finished is kept.
        RunBroken: if work that had begun could not go on.
    """
    stage("reading the manifest")
    valid = validated(manifest, options, defaults=defaults)
    source = options.source or {"manifest": described(manifest), "defaults": defaults or {}}
    options = options.model_copy(update={"source": source})
    stage("loading the encoder")
    return run_rows(valid.rows, options, on_progress=on_progress, kernel=kernel, remarks=valid.remarks)


@under_access
def run_rows(
    rows: Iterable[Row],
    options: RunOptions,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    kernel: Kernel = style_actor,
    remarks: Sequence[str] = (),
) -> Progress:
    """Compute rows that are not in the output yet.

    Args:
        rows: what is requested, each id once.
        options: as for `run`.
        on_progress: as for `run`.
        kernel: as for `run`.
        remarks: on what was requested.

    Raises:
        ValueError: if the options name no output, or no cluster that this machine can use; nothing was started.
        ManifestError: if a row's picture would replace one that is read, or cannot have its depth; nothing was started.
        RunBroken: if work that had begun could not go on; and whatever else `run` raises.
    """
    if not options.output:
        raise ValueError("output: expected a folder for pictures and results, any URI")
    check_address(options.resources.address)
    started_at, output = provenance.now(), storage.absolute(options.output)
    options = options.model_copy(update={"output": output})
    rows = rows if isinstance(rows, Sequence) else list(rows)
    _check_rows(rows, options)
    encoder = load_encoder(options.weights)
    # One run at a time; a row may take an hour, so the wait for one is interrupted when the lock is lost.
    with interruptible() as interrupt, RunLock(output, force=options.force, on_loss=interrupt) as lock:
        _check_output(output)
        # What is left to do, and whether that can come to a good end at all. Without anything left, Ray is not started.
        pool = functools.cache(functools.partial(_pool, options.resources))
        work = _plan(rows, options, encoder.sha256, done := finished(output), pool)
        progress = _progress_of(work, (*remarks, *work.remarks(encoder.kind)))
        if on_progress:
            on_progress(progress)
        _stop_if_hopeless(work, progress, options.max_failures)
        # Fetch, optimise and write; what has become of each row is counted as it arrives.
        writer = _writer(options, encoder, done)
        pinned = f"{split_pin(options.weights)[0]}{PIN}{encoder.sha256}"  # actors read the file themselves
        notes = Ledger(output, lock.owner, options.max_attempts, options.stall_timeout, lock.lease)
        how, kernel = options.model_copy(update={"weights": pinned}), _deep(kernel, options)
        outcomes = flow(work, how, writer, pool(), notes, kernel=kernel) if work.batches else None
        _compute(outcomes, progress, lock, options.max_failures, on_progress)
        # Every row has its outcome: put the output in order, and the summary last.
        try:
            _put_in_order(output, work, done)
            summary.write(output, _summary_of(options, work, progress, encoder=encoder, started_at=started_at))
        except storage.StorageError as error:
            raise RunBroken(f"every row has its outcome, but the end could not be put in order: {error}") from error
        return progress


def _progress_of(work: Plan, remarks: tuple[str, ...]) -> Progress:
    """Return the progress of a run that begins to compute a plan."""
    progress = Progress(work.rows, work.done, work.quarantined, remarks=remarks)
    progress.expect(work.multiply_adds())
    return progress


def _check_rows(rows: Sequence[Row], options: RunOptions) -> None:
    """Raise ManifestError if a row's picture would replace one that is read, or cannot have its depth."""
    check_originals(rows, options.output)
    check_formats(rows, options.encoding.depth)


def _check_output(output: str) -> None:
    """Raise StorageError if pictures or results cannot be written."""
    for folder in (layout.images_folder(output), layout.results_folder(output)):
        storage.check_writable(folder)


def _pool(resources: Resources) -> ActorPool:
    """Connect to the cluster, or start one here, and return the actors that it has room for."""
    stage("starting Ray" if resources.address in (None, "local") else "connecting to the cluster")
    connect(resources.address)
    pool = pool_on_cluster(resources)
    stage("reading the headers of pictures and planning")
    return pool


def _plan(
    rows: Sequence[Row], options: RunOptions, encoder_sha256: str, done: Finished, pool: Callable[[], ActorPool]
) -> Plan:
    """Return what a run has to do, given what earlier runs have left; only the holder of the run lock may do this.

    Args:
        rows: what is requested, each id once.
        options: of the run, with an absolute output.
        encoder_sha256: digest of the encoder's weights.
        done: rows of the output that need no computing.
        pool: returns the actors that batches are made for.
    """
    attempts = ledger.collect_crashes(options.output)
    if options.release:
        ledger.remove_settled(attempts, set(done.quarantined.items()))
    history = History(
        finished={} if options.overwrite else done.fingerprints,
        owners=done.owners,
        quarantined={} if options.release else done.quarantined,
        crashes={} if options.release else ledger.crashes_by_row(attempts),
        framed=done.framed,
        max_attempts=options.max_attempts,
    )
    return plan(
        rows,
        encoder_sha256=encoder_sha256,
        history=history,
        limits=lambda: pool().limits(options.resources.batch_size),
        shape_of=functools.partial(output_shapes, decoding=options.decoding),
    )


def _writer(options: RunOptions, encoder: "Weights", done: Finished) -> Writer:
    """Return the writing stage of the run that comes after those which have left results."""
    return Writer(
        options.output,
        encoder=encoder.name,
        encoder_sha256=encoder.sha256,
        encoding=options.encoding,
        run=done.runs + 1,
    )


def _compute(
    outcomes: Generator[Mapping[str, Any]] | None,
    progress: Progress,
    lock: RunLock,
    max_failures: FailureLimit,
    on_progress: Callable[[Progress], None] | None,
) -> None:
    """Count the outcomes of rows as they arrive, until every row has one or the run must stop.

    Args:
        outcomes: of rows, in any order; closed when the run stops early. None: there is nothing to compute.
        progress: counts them.
        lock: of the output.
        max_failures: rows that may fail before the run stops.
        on_progress: called after every row.
    """
    if outcomes is None:
        return
    metrics = RunMetrics(progress.total)
    try:
        for row in outcomes:
            progress.add(row)
            metrics.add(row)
            log_outcome(row)
            if on_progress:
                on_progress(progress)
            lock.check()
            _stop_if_failing(progress, max_failures)
    except (KeyboardInterrupt, SystemExit, TooManyFailures):  # SystemExit: what Ray makes of SIGTERM
        outcomes.close()
        if lock.lost:
            raise RunBroken(lock.loss) from None
        with contextlib.suppress(storage.StorageError):  # rows stay suspect then, which costs time and no row
            ledger.withdraw_run(lock.output, lock.owner)
        raise
    except Locked as error:
        outcomes.close()
        raise RunBroken(str(error)) from error
    finally:
        metrics.end()
    if progress.finished < progress.total:
        raise RunBroken(f"{progress.total - progress.finished:,} of {progress.total:,} rows came to no outcome")


def _put_in_order(output: str, work: Plan, done: Finished) -> None:
    """Remove what a finished run needs no more: crash notes, old saved states, temporary and small files.

    Every planned row has its outcome in the results now, so that nothing is left to learn from its crashes.
    """
    left = ledger.read_attempts(output)
    suspects = {row for attempt in left for row in attempt.rows}
    settled = {row for batch in work.batches for row in crashes.row_keys(batch.rows) if row in suspects}
    ledger.remove_settled(left, settled | (suspects & done.fingerprints.items()))
    saved_states.delete_old(output)
    storage.sweep(output)
    compact(output)


def _summary_of(
    options: RunOptions, work: Plan, progress: Progress, *, encoder: "Weights", started_at: datetime
) -> Mapping[str, object]:
    """Return what `run.json` tells of a finished run."""
    planned = {
        "rows": work.rows,
        "batches": len(work.batches),
        "done": work.done,
        "quarantined": work.quarantined,
    }
    return summary.of(
        {**options.model_dump(), "max_failures": str(options.max_failures), "tolerate": str(options.tolerate)},
        planned,
        progress.counts,
        retries=progress.retries,
        encoder=encoder,
        started_at=started_at,
    )


def _deep(kernel: Kernel, options: RunOptions) -> Kernel:
    """Return a kernel that rounds its pictures to the bits that the run writes, or converts to another profile."""
    depth = options.encoding.bits_before
    return kernel if depth == 8 else functools.partial(kernel, depth=depth)


def _stop_if_hopeless(work: Plan, progress: Progress, limit: FailureLimit) -> None:
    """Raise TooManyFailures if more rows failed at planning than may, although their turn comes last."""
    known = [planned for batch in work.batches for planned in batch.rows if planned.failure]
    if limit.exceeded(len(known), progress.total) and known[0].failure:
        raise TooManyFailures(_hopeless(len(known), "at planning", progress.total, limit, known[0].failure.error))


def _stop_if_failing(progress: Progress, limit: FailureLimit) -> None:
    """Raise TooManyFailures if more of the finished rows failed than the limit allows."""
    failed = failures(progress.counts)
    if limit.exceeded(failed, progress.total):
        example = progress.failures[-1][1]
        raise TooManyFailures(_hopeless(failed, f"of {progress.finished:,} finished", progress.total, limit, example))


def _hopeless(failed: int, when: str, total: int, limit: FailureLimit, example: str) -> str:
    """Return the message of a run that stops since too many rows failed."""
    return (
        f"{failed:,} rows failed {when}, more than the {limit} of {total:,} that --max-failures allows. "
        f"One of them: {example}"
    )
