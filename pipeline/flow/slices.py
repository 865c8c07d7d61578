"""Planning slice by slice: what is left to do of the rows of a run, while those of slices before are computed."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from nst_kernel.encoder import Outline
from pipeline.cluster import ActorPool
from pipeline.flow.batch_queue import Work
from pipeline.flow.dataset import PlanBroken, RunBroken, TooManyFailures
from pipeline.flow.refused import only_failures
from pipeline.manifest import Row
from pipeline.options import FailureLimit, RunOptions
from pipeline.outputs import Progress, finished
from pipeline.planning import Batch, History, Plan, RowKey, kept_batches, output_shapes, plan
from pipeline.process import garbage, stage
from pipeline.recovery import ledger
from pipeline.words import counted


class Planning:
    """What a run has to do, given what earlier runs have left. Only the holder of the run lock may make one.

    Attributes:
        progress: of the run; its totals grow with each slice.
        done: rows of the output that need no computing.
        batches: that were planned.
        suspects: rows to compute that were in attempts of earlier runs.
        follows_crash: whether earlier runs have left attempts.
    """

    def __init__(
        self, options: RunOptions, encoder: Outline, pool: Callable[[], ActorPool], progress: Progress
    ) -> None:
        """Read what earlier runs have left, once for all slices.

        Args:
            options: of the run, with an absolute output.
            encoder: whose weights are used.
            pool: returns the actors that batches are made for.
            progress: of the run.
        """
        self.options, self.encoder, self.pool, self.progress = options, encoder, pool, progress
        self.done = finished(options.output)
        self.batches = 0
        self.suspects: set[RowKey] = set()
        self._failed, self._example = 0, ""
        attempts = ledger.collect_crashes(options.output)
        if options.release:
            ledger.remove_settled(options.output, attempts, set(self.done.quarantined.items()))
        self.follows_crash = bool(attempts)
        self._attempted = {row for attempt in attempts for row in attempt.rows}
        self._history = History(
            finished={} if options.overwrite else self.done.fingerprints,
            owners=self.done.owners,
            quarantined={} if options.release else self.done.quarantined,
            crashes={} if options.release else ledger.crashes_by_row(attempts),
            framed=self.done.framed,
            max_attempts=options.max_attempts,
        )

    def work(self, slices: Iterable[Sequence[Row]]) -> Work:
        """Return the work of slices: planned now as far as all actors need it, the rest when it is asked for.

        Where every row of what is planned now fails at planning, it is all that there is.
        """
        stage("reading the headers of pictures and planning")
        iterator = iter(slices)
        first: Sequence[Batch] = ()
        for part in map(self._batches, iterator):  # which are made as they are asked for
            first = [*first, *part] if first else part
            if not only_failures(first) and len(first) >= self.pool().count:
                break
        garbage.give_back()  # of a large plan, which lies in the output by now
        self.progress.began = time.monotonic()  # what follows is the work, of which the rate is told
        return Work(first, self._rest(iterator))

    def _rest(self, slices: Iterator[Sequence[Row]]) -> Iterator[Sequence[Batch]]:
        """Yield the batches of each further slice.

        Raises:
            PlanBroken: if they cannot be planned.
            TooManyFailures: if too many of their rows fail at planning.
        """
        try:
            for rows in slices:
                part = self._batches(rows)
                self.stop_if_hopeless(self.options.max_failures)
                yield part
        except RunBroken:
            raise
        except Exception as error:
            raise PlanBroken(f"the rows that follow cannot be planned: {type(error).__name__}: {error}") from error

    def _batches(self, rows: Sequence[Row]) -> Sequence[Batch]:
        """Return the batches of a slice, which the progress counts from now on."""
        part = plan(
            rows,
            encoder_sha256=self.encoder.sha256,
            history=self._history,
            limits=lambda: self.pool().limits(self.options.resources.batch_size),
            shape_of=functools.partial(output_shapes, decoding=self.options.decoding),
        )
        self._count(part)
        return kept_batches(part, rows, self.options.output, self.options.decoding)

    def _count(self, part: Plan) -> None:
        """Count the rows of a slice."""
        progress = self.progress
        self.batches += len(part.batches)
        for failure in part.batches.planned.failures.values():
            self._failed += 1
            self._example = self._example or failure.error
        self.suspects |= part.keys_among(self._attempted)
        progress.expect(part.multiply_adds(), rows=part.rows)
        progress.done_before += part.done
        progress.quarantined_before += part.quarantined
        progress.remarks = tuple(dict.fromkeys((*progress.remarks, *part.remarks(self.encoder.kind))))

    def stop_if_hopeless(self, limit: FailureLimit) -> None:
        """Raise TooManyFailures if more rows failed at planning than may, although their turn comes last."""
        if limit.exceeded(self._failed, self.progress.total):
            raise TooManyFailures(hopeless(self._failed, "at planning", self.progress.total, limit, self._example))


def hopeless(failed: int, when: str, total: int, limit: FailureLimit, example: str) -> str:
    """Return the message of a run that stops since too many rows failed."""
    return (
        f"{counted(failed, 'row')} failed {when}, more than the {limit} of {total:,} that --max-failures allows. "
        f"One of them: {example}"
    )
