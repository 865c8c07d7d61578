"""The three stages of a run one after the other in this process, for tests of which rows a run computes.

A run on Ray Data starts an actor, which costs 6 s of CPU whatever it computes.
"""

from collections.abc import Generator, Mapping
from typing import Any

from pipeline.flow.dataset import Kernel, style_actor
from pipeline.options import RunOptions
from pipeline.planning import Plan
from pipeline.recovery import Ledger, guarded_fetch, guarded_optimise, guarded_write
from pipeline.stages import Writer, fetch


def flow(
    work: Plan,
    options: RunOptions,
    writer: Writer,
    _pool: object,
    notes: Ledger,
    *,
    kernel: Kernel = style_actor,
) -> Generator[Mapping[str, Any]]:
    """Compute the batches of a plan as `pipeline.flow.dataset.flow` does, without Ray Data."""
    fetched, optimised = guarded_fetch(fetch, notes), guarded_optimise(kernel(options.weights), notes)
    written = guarded_write(writer, notes)
    for batch in work.batches:
        yield from written(optimised(fetched(batch)))
