"""The batches of a run through the three stages, on Ray Data."""

import functools
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, cast

import ray.data
from ray.data import TaskPoolStrategy

from pipeline import storage
from pipeline.cluster import FETCH_CPUS, WRITE_CPUS, ActorPool
from pipeline.flow import blocks
from pipeline.flow.batch_queue import BatchQueue, Work, divided, reading
from pipeline.flow.merging import Merging
from pipeline.flow.metrics import BusyShare
from pipeline.options import Interruptions, RunOptions
from pipeline.planning import Fetched, Optimised
from pipeline.process import draining, garbage
from pipeline.recovery import (
    Ledger,
    guarded_fetch,
    guarded_optimise,
    guarded_write,
    ledger,
    orphans,
    repeats,
    saved_states,
)
from pipeline.stages import ResumableOptimisation, Writer, fetch

Kernel = Callable[..., Callable[[Fetched], Optimised]]
"""Made on an actor of `weights`, `threads` and `resumable`, and of `depth` where that is not 8; it
optimises one fetched batch after the other."""


def style_actor(weights: str, **options: Any) -> Callable[[Fetched], Optimised]:
    """Return the kernel that computes pictures: a `StyleActor` with these weights."""
    with garbage.paused():
        from pipeline.stages import StyleActor  # torch comes along, which only actors need

    return StyleActor(weights, **options)


def flow(
    work: Work,
    options: RunOptions,
    writer: Writer,
    pool: ActorPool,
    notes: Ledger,
    *,
    kernel: Kernel = style_actor,
) -> Generator[Mapping[str, Any]]:
    """Compute batches on Ray Data, and yield what became of each row once it is durable.

    A run is one dataset, so that its actors start once. A row of it is a block, of one batch where these are long, so
    that they spread over the actors and finish one by one. Ray Data schedules and applies back-pressure; what counts is
    what the writer has committed. Ray runs a block again, without end, when its process died; the ledger sees to it
    that a row which kills it is tried only so often. Where GPUs are unlike each other, rows
    that only the largest can hold come last, in a dataset of their own.

    Args:
        work: what to compute.
        options: of the run: what decoding may take, the weights that each actor reads, deadlines of rows, and when
            states are saved.
        writer: commits finished batches.
        pool: the actors.
        notes: records which rows are being worked on.
        kernel: what optimises, made anew on each actor.

    Raises:
        RunBroken: if a stage failed for another reason than one of its rows; as `PlanBroken` or `TooManyFailures` if
            slices that follow cannot be planned, or have too many rows that fail.
    """
    held, others = divided(work, pool.holds, pool.count) if pool.larger else (work, [])
    if held.first:
        yield from _computed(held, options, writer, pool, notes, kernel)
    if others and pool.larger:
        yield from _computed(Work(others), options, writer, pool.larger, notes, kernel)


def _computed(
    work: Work, options: RunOptions, writer: Writer, pool: ActorPool, notes: Ledger, kernel: Kernel
) -> Generator[Mapping[str, Any]]:
    """Compute batches that every actor of a pool can hold, as `flow` does.

    Where further slices cannot be planned, those that are at work are computed before that is raised.
    """
    readers = min(pool.tasks, len(work.first))  # Ray Data warns of more than there is work for
    merging = Merging(writer.output, pool)
    share_of_block = functools.partial(blocks.share_of_block, pool=pool)
    with BatchQueue(work, readers, share_of_block) as queue, merging:
        try:
            for row in _stages(queue, options, writer, pool, notes, kernel).iter_rows():
                yield from row["outcomes"]
                queue.done(row["batch"])
                for _ in row["batch"]:
                    merging.part_is_there()
                if isinstance(queue.error, TooManyFailures):
                    break
            if queue.error:
                raise queue.error
        except RunBroken:
            raise
        except Exception as error:
            raise RunBroken(_innermost(error)) from error


def _stages(
    queue: BatchQueue, options: RunOptions, writer: Writer, pool: ActorPool, notes: Ledger, kernel: Kernel
) -> ray.data.Dataset:
    """Return the dataset of a run with its three stages: fetch, optimise, write.

    Args:
        queue: hands out the batches.
        options: of the run.
        writer: commits finished batches.
        pool: the actors.
        notes: records which rows are being worked on.
        kernel: what optimises, made anew on each actor.
    """
    read = storage.Carried(guarded_fetch(functools.partial(fetch, limits=options.decoding, run=notes.run), notes))
    write = storage.Carried(guarded_write(writer, notes))
    stylise = (storage.in_force(), kernel, options.weights, pool.threads, notes, options.resources.interruptions)
    return (
        ray.data.from_items([{"reader": reader} for reader in range(queue.readers)], override_num_blocks=queue.readers)
        .flat_map(
            reading(read, queue.server),
            compute=TaskPoolStrategy(size=queue.readers),
            **pool.stage_options(FETCH_CPUS, options.decoding.memory),
        )
        .map(
            cast(Any, _Stylise),  # Ray Data's type hint leaves out that a class may stand here
            fn_constructor_args=stylise,
            compute=pool.strategy(len(queue.work.first), queue.work.usual),
            **pool.actor_options,
        )
        .map(
            functools.partial(blocks.written, write=write),
            compute=TaskPoolStrategy(size=queue.readers),
            **pool.stage_options(WRITE_CPUS),
        )
    )


class RunBroken(RuntimeError):
    """Raised when a run cannot go on; what is finished is kept, and the same call goes on from there."""


class PlanBroken(RunBroken):
    """Raised when rows that follow cannot be planned; what is finished is kept."""


class TooManyFailures(RunBroken):
    """Raised when more rows failed than the run's limit allows."""


def _innermost(error: BaseException) -> str:
    """Return what went wrong in a worker, without the layers of Ray around it."""
    while (cause := getattr(error, "cause", None) or error.__cause__) and cause is not error:
        error = cause
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"


class _Stylise:
    """The stage that optimises: a kernel on an actor, which saves its state and survives rows that crash it."""

    def __init__(
        self,
        allowed: Sequence[storage.Allowed],
        kernel: Kernel,
        weights: str,
        threads: int | None,
        notes: Ledger,
        interruptions: Interruptions | None,
    ) -> None:
        storage.allow(*allowed)
        restarted = repeats.took_anothers_place()
        expected = saved_states.expecting(notes.output, notes.saved, restarted=restarted)
        resumable = ResumableOptimisation(interruptions, output=notes.output, may_be_saved=expected)
        if resumable.preemption:
            draining.watch(resumable.preemption.on_draining)
            resumable.preemption.before_leaving = ledger.withdraw_own
        orphans.exit_when_run_ends(notes)
        self.optimise = guarded_optimise(
            BusyShare(kernel(weights, threads=threads, resumable=resumable), run=notes.run, output=notes.output), notes
        )

    def __call__(self, block: blocks.Block) -> blocks.Block:
        """Optimise the batches of a block, one after the other."""
        return blocks.optimised(block, self.optimise)
