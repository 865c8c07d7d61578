"""The batches of a plan through the three stages, on Ray Data."""

import pickle
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, cast

from ray.data import TaskPoolStrategy

from pipeline.cluster import FETCH_CPUS, WRITE_CPUS, ActorPool
from pipeline.flow import plan_parts
from pipeline.flow.metrics import watched
from pipeline.options import Interruptions
from pipeline.outputs import compact
from pipeline.planning import Batch, Fetched, Optimised, Plan
from pipeline.process import draining
from pipeline.recovery import Ledger, guarded_fetch, guarded_optimise, guarded_write, ledger, orphans
from pipeline.stages import Writer, fetch

Kernel = Callable[..., Callable[[Fetched], Optimised]]
"""Made on an actor of `weights`, `threads` and `resumable`; optimises one fetched batch after the other."""


def style_actor(weights: str, **options: Any) -> Callable[[Fetched], Optimised]:
    """The kernel that runs are for."""
    from pipeline.stages import StyleActor

    return StyleActor(weights, **options)


def flow(
    work: Plan,
    weights: str,
    writer: Writer,
    pool: ActorPool,
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
    for number, leg in enumerate(plan_parts.legs(work.batches, pool.count)):
        outcomes = (
            plan_parts.dataset(leg)
            .flat_map(
                plan_parts.opened(guarded_fetch(fetch, notes)),
                compute=_tasks(pool.tasks, leg),
                **pool.stage_options(FETCH_CPUS),
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
                **pool.stage_options(WRITE_CPUS),
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
        from pipeline.stages import ResumableOptimisation  # torch comes along, which only actors need

        resumable = ResumableOptimisation(interruptions, output=notes.output)
        if resumable.preemption:
            draining.watch(resumable.preemption.on_draining)
            resumable.preemption.before_leaving = ledger.withdraw_own
        orphans.exit_when_run_ends(notes)
        self.optimise = guarded_optimise(watched(kernel(weights, threads=threads, resumable=resumable)), notes)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"batch": pickle.dumps(self.optimise(pickle.loads(row["batch"])))}
