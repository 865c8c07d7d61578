"""The three stages of a run one after the other in this process, for tests of which rows a run computes.

A run on Ray Data starts an actor, which costs 6 s of CPU whatever it computes.
"""

import functools
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest

from pipeline.flow.dataset import Kernel, style_actor
from pipeline.options import RunOptions
from pipeline.planning import Plan
from pipeline.recovery import Ledger, guarded_fetch, guarded_optimise, guarded_write
from pipeline.stages import ResumableOptimisation, Writer, fetch


@contextmanager
def in_process() -> Iterator[None]:
    """Have runs within this block compute in this process, where it is not the point who computes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("pipeline.flow.run"), "flow", flow)
        yield


def flow(
    work: Plan,
    options: RunOptions,
    writer: Writer,
    _pool: object,
    notes: Ledger,
    *,
    kernel: Kernel = style_actor,
) -> Generator[Mapping[str, Any]]:
    """Compute the batches of a plan as `pipeline.flow.dataset.flow` does, without Ray Data; no states are saved."""
    resumable = ResumableOptimisation(options.resources.interruptions)
    fetched = guarded_fetch(functools.partial(fetch, limits=options.decoding), notes)
    optimised = guarded_optimise(kernel(options.weights, resumable=resumable), notes)
    written = guarded_write(writer, notes)
    for batch in work.batches:
        yield from written(optimised(fetched(batch)))
