"""How many requests to S3 a row takes: those that s3fs would send, in runs of this process with a stub kernel.

A row's requests are the difference between two runs of different length, so that what a run costs in any case does not
count. The lock is left out, which is renewed by time.
"""

from collections import Counter
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any

import pytest

from nst_kernel import StyleParams
from nst_kernel.result import StylizeResult
from pipeline import images, storage
from pipeline.flow.batch_queue import Work
from pipeline.flow.run import run_rows
from pipeline.manifest import Row
from pipeline.options import Resources, RunOptions
from pipeline.planning import Failure, Fetched, Optimised
from pipeline.recovery import Ledger, guarded_fetch, guarded_optimise, guarded_write, saved_states
from pipeline.stages import ResumableOptimisation, Writer, fetch
from tests.bench.stub import StubKernel
from tests.support import draw
from tests.support.s3_in_memory import s3_in_memory
from tests.support.without_ray import without_ray


class ResumableStub(StubKernel):
    """A stub that looks for saved states as the kernel does."""

    def __init__(self, weights: str, *, resumable: ResumableOptimisation, **options: Any) -> None:
        super().__init__(weights, **options)
        self.resumable = resumable

    def __call__(self, fetched: Fetched) -> Optimised:
        """No row fails here that had its pictures."""

        def transfer(*_: object) -> list[StylizeResult]:
            results = map(self._result, fetched.pictures)
            return [result for result in results if not isinstance(result, Failure)]

        self.resumable.optimise(fetched.batch.rows, transfer, pictures="", on_iteration=None)
        return super().__call__(fetched)


def _flow(
    work: Work, options: RunOptions, writer: Writer, _pool: object, notes: Ledger, *, kernel: Any
) -> Generator[Mapping[str, Any]]:
    """Compute the batches of a plan as on Ray Data, in this process, which takes nobody's place."""
    expected = saved_states.expecting(notes.output, notes.saved, restarted=False)
    interruptions = options.resources.interruptions
    with ThreadPoolExecutor(1) as pool:  # in the main thread it would take over SIGTERM
        make = partial(ResumableOptimisation, interruptions, output=notes.output, may_be_saved=expected)
        resumable = pool.submit(make).result()
    fetched = guarded_fetch(partial(fetch, limits=options.decoding, run=notes.run), notes)
    optimised = guarded_optimise(kernel(options.weights, resumable=resumable), notes)
    written = guarded_write(writer, notes)
    for batch in work:
        yield from written(optimised(fetched(batch)))


HOME = "s3://bucket/home"

TOGETHER = {1: (20, 28), 16: (32, 64)}
"""Rows of a batch, and rows of the two runs: not so few that photos are looked up one by one instead of listed."""


def of_run(rows: int, together: int) -> Counter[str]:
    """Return the requests of a run by their kind, each row with a content of its own and one of two styles.

    Args:
        rows: how many.
        together: of a batch.
    """
    run = import_module("pipeline.flow.run")
    with s3_in_memory() as s3, without_ray(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "flow", _flow)
        for name in (*(f"photo{number}" for number in range(rows)), "style0", "style1"):
            storage.write_bytes(f"{HOME}/{name}.png", images.encode(draw(0, 32, 32), metadata={}))
        s3.asked.clear()
        options = RunOptions(output=f"{HOME}/out", resources=Resources(batch_size=together))
        progress = run_rows([_row(number) for number in range(rows)], options, kernel=ResumableStub)
        assert progress.counts == {"ok": rows}
        return s3.kinds(without="run.lock")


def _row(number: int) -> Row:
    """Return a row that is requested."""
    content, style = f"{HOME}/photo{number}.png", f"{HOME}/style{number % 2}.png"
    return Row(f"row{number}", content, style, f"{number}.png", StyleParams(size=32), "rows.csv", number)


def per_row(together: int) -> dict[str, float]:
    """Return the requests of a row by their kind, so many to a batch."""
    few, many = TOGETHER[together]
    fewer, more = of_run(few, together), of_run(many, together)
    return {kind: (more[kind] - fewer[kind]) / (many - few) for kind in ("PUT", "LIST", "GET", "HEAD", "DELETE")}
