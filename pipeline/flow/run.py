"""The whole flow, top to bottom: manifest, plan, fetch, optimise, write, results."""

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from nst_kernel.encoder import Outline
from pipeline import storage
from pipeline.cluster import ActorPool, check_address, connect, pool_on_cluster
from pipeline.encoder import PIN, outline_of, split_pin
from pipeline.flow.dataset import Kernel, RunBroken, TooManyFailures, flow, style_actor
from pipeline.flow.metrics import RunMetrics, log_outcome
from pipeline.flow.refused import only_failures, refused
from pipeline.flow.slices import Planning, hopeless
from pipeline.manifest import Row, Source, check_formats, check_originals, described
from pipeline.options import FailureLimit, Resources, RunOptions, failures, under_access
from pipeline.outputs import (
    Finished,
    Pairs,
    Progress,
    compact,
    layout,
    provenance,
    summary,
)
from pipeline.planning import validated
from pipeline.process import interruptible, stage
from pipeline.recovery import LEASE_SECONDS, Ledger, Locked, RunLock, ledger, saved_states
from pipeline.stages import Writer
from pipeline.words import counted


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
    connect_to_read = functools.partial(_connect_to_read, options.resources)
    valid = validated(manifest, options, defaults=defaults, connect=connect_to_read)
    source = options.source or {"manifest": described(manifest), "defaults": defaults or {}}
    options = options.model_copy(update={"source": source})
    stage("loading the encoder")
    slices, progress = _once(valid.rows), Progress(0, 0, remarks=valid.remarks)
    del valid  # a large plan lies in the output then, and is read from there
    return run_slices(slices, options, progress=progress, on_progress=on_progress, kernel=kernel)


def _once(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield rows as the only slice of a run, without keeping them."""
    held = [rows]
    del rows
    yield held.pop()


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
        ManifestError: if a row's picture would replace one that is read, or cannot have its depth; nothing was started.
        ValueError: as `run_slices` does, and whatever else it raises.
    """
    if options.output:
        options = options.model_copy(update={"output": storage.absolute(options.output)})
    rows = rows if isinstance(rows, Sequence) else list(rows)
    check_rows(rows, options)
    progress = Progress(0, 0, remarks=tuple(remarks))
    return run_slices([rows], options, progress=progress, on_progress=on_progress, kernel=kernel)


@under_access
def run_slices(
    slices: Iterable[Sequence[Row]],
    options: RunOptions,
    *,
    progress: Progress,
    on_progress: Callable[[Progress], None] | None = None,
    kernel: Kernel = style_actor,
) -> Progress:
    """Compute rows that come in slices: each is planned by itself, while those before it are computed.

    Args:
        slices: of what is requested, each id once in all; taken one after the other, by another thread.
        options: as for `run`.
        progress: of the run that begins; its totals grow with each slice.
        on_progress: as for `run`.
        kernel: as for `run`.

    Returns:
        The progress that was given.

    Raises:
        ValueError: if the options name no output, or no cluster that this machine can use; nothing was started.
        RunBroken: if work that had begun could not go on; and whatever else `run` raises.
    """
    if not options.output:
        raise ValueError("output: expected a folder for pictures and results, any URI")
    check_address(options.resources.address)
    started_at, output = provenance.now(), storage.absolute(options.output)
    options = options.model_copy(update={"output": output})
    encoder = outline_of(options.weights)
    # One run at a time; a row may take an hour, so the wait for one is interrupted when the lock is lost.
    with interruptible() as interrupt, RunLock(output, force=options.force, on_loss=interrupt) as lock:
        _check_output(output)
        # What is left to do, and whether that can come to a good end at all. Without anything left, Ray is not started.
        pool = functools.cache(functools.partial(_pool, options.resources))
        planning = Planning(options, encoder, pool, progress)
        work = planning.work(slices)
        if on_progress:
            on_progress(progress)
        planning.stop_if_hopeless(options.max_failures)
        # Fetch, optimise and write; what has become of each row is counted as it arrives.
        writer = _writer(options, encoder, planning.done)
        pinned = f"{split_pin(options.weights)[0]}{PIN}{encoder.sha256}"  # actors read the file themselves
        notes = _ledger(lock, options, is_wary=planning.follows_crash)
        how, kernel = options.model_copy(update={"weights": pinned}), _deep(kernel, options)
        if work.first:
            fails = only_failures(work.first)
            outcomes = refused(work.first, writer) if fails else flow(work, how, writer, pool(), notes, kernel=kernel)
            _compute(outcomes, progress, lock, options.max_failures, on_progress)
        # Every row has its outcome: put the output in order, and the summary last.
        try:
            _put_in_order(output, lock.owner, planning)
            summary.write(output, _summary_of(options, planning, encoder=encoder, started_at=started_at))
        except storage.StorageError as error:
            raise RunBroken(f"every row has its outcome, but the end could not be put in order: {error}") from error
        return progress


def check_rows(rows: Sequence[Row], options: RunOptions) -> None:
    """Raise ManifestError if a row's picture would replace one that is read, or cannot have its depth."""
    check_originals(rows, options.output)
    check_formats(rows, options.encoding.depth)


def _check_output(output: str) -> None:
    """Raise StorageError if pictures or results cannot be written."""
    for folder in (layout.images_folder(output), layout.results_folder(output)):
        storage.check_writable(folder)


def _connect_to_read(resources: Resources) -> None:
    """Connect to the cluster, or start one here, before a large manifest is read."""
    check_address(resources.address)
    _connect(resources)
    stage("reading the manifest")


def _connect(resources: Resources) -> None:
    """Connect to the cluster, or start one here."""
    stage("starting Ray" if resources.address in (None, "local") else "connecting to the cluster")
    connect(resources.address)


def _pool(resources: Resources) -> ActorPool:
    """Connect to the cluster, or start one here, and return the actors that it has room for."""
    _connect(resources)
    pool = pool_on_cluster(resources)
    stage("reading the headers of pictures and planning")
    return pool


def _ledger(lock: RunLock, options: RunOptions, *, is_wary: bool) -> Ledger:
    """Return the ledger of a run: where an earlier run crashed, every attempt is recorded.

    Args:
        lock: that the run holds.
        options: of the run.
        is_wary: whether earlier runs have left attempts; a lock that they have left tells as much.
    """
    return Ledger(
        lock.output,
        lock.owner,
        options.max_attempts,
        options.stall_timeout,
        lock.lease,
        wary=lock.took_over or is_wary,
        saved=saved_states.names(lock.output),
    )


def _writer(options: RunOptions, encoder: Outline, done: Finished) -> Writer:
    """Return the writing stage of the run that comes after those which have left results."""
    return Writer(
        options.output,
        encoder=encoder.name,
        encoder_sha256=encoder.sha256,
        encoding=options.encoding,
        run=done.runs + 1,
    )


def _compute(
    outcomes: Generator[Mapping[str, Any]],
    progress: Progress,
    lock: RunLock,
    max_failures: FailureLimit,
    on_progress: Callable[[Progress], None] | None,
) -> None:
    """Count the outcomes of rows as they arrive, until every row has one or the run must stop.

    Args:
        outcomes: of rows, in any order; closed when the run stops early.
        progress: counts them.
        lock: of the output.
        max_failures: rows that may fail before the run stops.
        on_progress: called after every row.
    """
    try:
        metrics = RunMetrics(
            lambda: progress.total - progress.finished,
            lambda: progress.total,
            run=lock.owner,
            output=lock.output,
            last_success=summary.finished_at(lock.output),
        )
        with metrics:
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
    if progress.finished < progress.total:
        raise RunBroken(
            f"{progress.total - progress.finished:,} of {counted(progress.total, 'row')} came to no outcome"
        )


def _put_in_order(output: str, run: str, planning: Planning) -> None:
    """Remove what a finished run needs no more: crash notes, old saved states, temporary and small files.

    Every planned row has its outcome in the results now, so that nothing is left to learn from its crashes.

    Args:
        output: of the run.
        run: owner of its lock.
        planning: knows which rows of earlier attempts it had.
    """
    left = ledger.read_attempts(output)
    own = {row for attempt in left if attempt.run == run for row in attempt.rows}
    suspects = {row for attempt in left for row in attempt.rows}
    done = suspects & Pairs.of(planning.done.fingerprints).among(id for id, _ in suspects).items()
    ledger.remove_settled(output, left, own | planning.suspects | done)
    saved_states.delete_old(output)
    storage.sweep(
        output,
        is_ours=lambda below: layout.is_written_by_runs(output, storage.join(output, below)),
        older=LEASE_SECONDS,  # a process that lives on after its run was replaced ends within this time
    )
    compact(output)


def _summary_of(
    options: RunOptions, planning: Planning, *, encoder: Outline, started_at: datetime
) -> Mapping[str, object]:
    """Return what `run.json` tells of a finished run."""
    progress = planning.progress
    planned = {
        "rows": progress.total,
        "batches": planning.batches,
        "done": progress.done_before,
        "quarantined": progress.quarantined_before,
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


def _stop_if_failing(progress: Progress, limit: FailureLimit) -> None:
    """Raise TooManyFailures if more of the finished rows failed than the limit allows."""
    failed = failures(progress.counts)
    if limit.exceeded(failed, progress.total):
        example = progress.failures[-1][1]
        raise TooManyFailures(hopeless(failed, f"of {progress.finished:,} finished", progress.total, limit, example))
