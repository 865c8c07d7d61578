"""A run in a process of its own, whose workers die of certain rows: `exit`, `segfault` and `hog` in a row's id say how.

python -m tests.faults.poisoned_run MANIFEST OUTPUT ROWS_PER_BATCH
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from unittest import mock

import ray

from pipeline.cluster import Resources
from pipeline.items import PlannedRow
from pipeline.ledger import Ledger
from pipeline.run import Progress, run

DEATHS: dict[str, Callable[[], object]] = {
    "exit": lambda: os._exit(1),
    "segfault": lambda: ctypes.string_at(0),
    "hog": lambda: os.kill(os.getpid(), signal.SIGKILL),  # as the kernel does when memory is short
}


def poison_workers() -> None:
    """From now on this process dies as soon as it works on a row whose id says `HOW-in-STAGE`."""
    attempt = Ledger.attempt

    @contextlib.contextmanager
    def deadly(self: Ledger, stage: str, rows: Sequence[PlannedRow]) -> Iterator[None]:
        with attempt(self, stage, rows):
            for planned in rows:
                how, _, where = planned.row.id.partition("-in-")
                if where == stage:
                    DEATHS[how]()
            yield

    mock.patch.object(Ledger, "attempt", deadly).start()


def main(manifest: str, output: str, rows_per_batch: str) -> None:
    """Run, and print the counts as JSON in the last line."""
    environment = {"worker_process_setup_hook": poison_workers}
    ray.init("local", include_dashboard=False, log_to_driver=False, num_cpus=2, runtime_env=environment)
    progress: Progress = run(
        manifest,
        output=output,
        defaults={"size": 48, "iterations": 3, "scales": ""},
        resources=Resources(num_actors=1, batch_size=int(rows_per_batch)),
    )
    told = {"total": progress.total, "quarantined_before": progress.quarantined_before, **progress.counts}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
