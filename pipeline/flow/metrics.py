"""Prometheus metrics of a run, through Ray's: every node of a cluster exports them, with `ray_` before their names.

What is counted is an outcome that arrived at the driver: its row is durable by then, and Ray Data hands each block of a
finished stage over once, however often a batch was computed or committed before, because a process or a node had died.
So a run's counts are those of its summary, and a row is counted once for each run that computed it. The node goes on
exporting the counters of a driver that has ended; `run.json` is what is kept.
"""

import logging
import math
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from ray.util.metrics import Counter, Gauge, Histogram

from pipeline.planning import Fetched, Optimised

log = logging.getLogger(__name__)

BATCH_SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
LOSSES = tuple(digit * 10.0**power for power in range(-4, 7) for digit in (1, 3))
"""Losses of the paper's objective and of ours are many powers of ten apart."""


HEARTBEAT_SECONDS = 10.0
"""After which a run tells again how many rows it has left. Ray soon drops a gauge that rests, so that whoever finds one
knows that its driver lives, which counters do not tell."""


class RunMetrics:
    """Counters of the outcomes of one run, in its driver, and how many rows it has left: a block that is the run."""

    def __init__(self, rows_left: Callable[[], int]) -> None:
        """Begin to count.

        Args:
            rows_left: returns how many of the rows that are planned so far have no outcome yet.
        """
        self.left = Gauge("nst_rows_left", "Rows of the runs that are going on which have no outcome yet.")
        self.rows = Counter("nst_rows_total", "Rows that came to an outcome, by status.", ("status",))
        self.seconds = Counter("nst_seconds_total", "Seconds that these rows took, by stage.", ("stage",))
        self.batch_size = Histogram("nst_batch_size", "Rows of a finished batch.", [*BATCH_SIZES])
        self.loss = Histogram("nst_loss", "Total loss of the pictures of ok rows.", [*LOSSES])
        self.retries = Counter("nst_storage_retries_total", "Requests to storage that were repeated for these rows.")
        self._rows_left = rows_left
        self._over, self._telling = threading.Event(), threading.Lock()
        self.left.set(rows_left())

    def __enter__(self) -> Self:
        """Begin to tell from time to time how many rows are left."""
        threading.Thread(target=self._tell_again, name="metrics", daemon=True).start()
        return self

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row as the writer returns it; the size of a batch is counted with its first row."""
        self.rows.inc(tags={"status": row["status"]})
        self.left.set(self._rows_left())
        if row["retries"]:
            self.retries.inc(row["retries"])
        for stage, seconds in row["seconds"].items():
            if seconds:
                self.seconds.inc(seconds, tags={"stage": stage})
        if row["batch_size"]:
            self.batch_size.observe(row["batch_size"])
        if row["status"] == "ok" and math.isfinite(row["total_loss"]):
            self.loss.observe(row["total_loss"])

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Tell that nothing is left to wait for, however the run has ended: its driver may live on."""
        with self._telling:
            self._over.set()
            self.left.set(0)

    def _tell_again(self) -> None:
        """Tell how many rows are left, from time to time until the run is over."""
        while not self._over.wait(HEARTBEAT_SECONDS):
            with self._telling:
                if not self._over.is_set():
                    self.left.set(self._rows_left())


EVENT = ("id", "status", "error_class", "error", "output", "total_loss", "seconds", "retries")
"""What is logged of the outcome of a row, each under its name behind `nst.row.`, for logs that keep attributes."""


def log_outcome(row: Mapping[str, Any]) -> None:
    """Log the outcome of a row as one event, and what there is of its attributes."""
    attributes = {f"nst.row.{name}": row[name] for name in EVENT if row.get(name) not in (None, "")}
    level = logging.INFO if row["status"] == "ok" else logging.WARNING
    log.log(level, "row %s: %s", row["id"], row["status"], extra=attributes)


def with_busy_share(optimise: Callable[[Fetched], Optimised]) -> Callable[[Fetched], Optimised]:
    """Return a kernel that also exports how busy its device is: the share of its time that it spent optimising."""
    busy_share = Gauge(
        "nst_device_busy_share", "Of the time since its last batch but one ended, that an actor optimised.", ("device",)
    )

    def measured(fetched: Fetched) -> Optimised:
        optimised = optimise(fetched)
        if whole := optimised.seconds + optimised.waited:
            busy_share.set(optimised.seconds / whole, tags={"device": optimised.device})
        return optimised

    return measured
