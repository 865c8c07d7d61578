"""Rows that fail at planning, told in the results by this process: nothing has to be started for them."""

from collections.abc import Generator, Iterable, Mapping
from typing import Any

from pipeline import storage
from pipeline.flow.dataset import RunBroken
from pipeline.outputs import provenance
from pipeline.planning import Batch, Fetched, Optimised
from pipeline.stages import Writer

DEVICE, PRECISION = "cpu", "fp32"
"""What has seen to such a row: this process."""


def only_failures(batches: Iterable[Batch]) -> bool:
    """Return whether every row of some batches fails at planning already."""
    return all(batch.is_refused for batch in batches)


def refused(batches: Iterable[Batch], writer: Writer) -> Generator[Mapping[str, Any]]:
    """Commit the rows of batches that all fail at planning, and yield what became of each.

    Args:
        batches: of the run.
        writer: commits batches.

    Raises:
        RunBroken: if results cannot be written.
    """
    for batch in batches:
        failures = tuple(planned.failure for planned in batch.rows if planned.failure)
        fetched = Fetched(batch, failures, provenance.now(), seconds=0.0, row_retries=(0,) * len(failures))
        try:
            yield from writer(Optimised(fetched, failures, DEVICE, PRECISION, seconds=0.0))
        except storage.StorageError as error:
            raise RunBroken(f"{type(error).__name__}: {error}") from error
