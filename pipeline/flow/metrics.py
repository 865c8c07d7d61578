"""Prometheus metrics of a run, through Ray's: every node of a cluster exports them, with `ray_` before their names.

What is counted is an outcome that arrived at the driver: its row is durable by then, and Ray Data hands each block of a
finished stage over once, however often a batch was computed or committed before, because a process or a node had died.
So a run's counts are those of its summary, and a row is counted once for each run that computed it. The node goes on
exporting the counters of a driver that has ended; `run.json` is what is kept.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from ray.util.metrics import Counter, Gauge, Histogram, Metric

from pipeline import storage
from pipeline.planning import Fetched, Optimised

log = logging.getLogger(__name__)

BATCH_SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
LOSSES = tuple(digit * 10.0**power for power in range(-4, 7) for digit in (1, 3))
"""Losses of the paper's objective and of ours are many powers of ten apart."""

OF_RUN = ("run", "output")
"""Labels of all that is exported: the owner of the lock of the output, and the output."""

HEARTBEAT_SECONDS = 10.0
"""After which a run tells again how many rows it has left. Ray soon drops a gauge that rests, so that whoever finds one
knows that its driver lives, which counters do not tell."""


class RunMetrics:
    """Counters of the outcomes of one run, in its driver, and how many rows it has left: a block that is the run."""

    def __init__(
        self,
        rows_left: Callable[[], int],
        rows_planned: Callable[[], int] = int,
        *,
        run: str = "",
        output: str = "",
        last_success: float = 0.0,
    ) -> None:
        """Begin to count.

        Args:
            rows_left: returns how many of the rows that are planned so far have no outcome yet.
            rows_planned: returns how many these are.
            run: owner of the lock of the output.
            output: URI of the output.
            last_success: when the last run into it came to its end, seconds since 1970; 0: none did.
        """
        self.left = Gauge("nst_rows_left", "Rows of the runs that are going on which have no outcome yet.", OF_RUN)
        self.planned = Gauge("nst_rows_planned", "Rows that the runs that are going on have to compute.", OF_RUN)
        self.age = Gauge("nst_last_row_age_seconds", "Since a row of the run came to an outcome, or it began.", OF_RUN)
        self.success = Gauge(
            "nst_last_success_timestamp_seconds", "When a run into the output last came to its end.", OF_RUN
        )
        self.rows = Counter("nst_rows_total", "Rows that came to an outcome, by status.", ("status", *OF_RUN))
        self.seconds = Counter("nst_seconds_total", "Seconds that these rows took, by stage.", ("stage", *OF_RUN))
        self.batches = Counter("nst_batches_total", "Batches that these rows came in.", OF_RUN)
        self.batch_size = Histogram("nst_batch_size", "Rows of a finished batch.", [*BATCH_SIZES], OF_RUN)
        self.loss = Histogram("nst_loss", "Total loss of the pictures of ok rows.", [*LOSSES], OF_RUN)
        self.retries = Counter(
            "nst_storage_retries_total", "Requests to storage that were repeated for these rows.", OF_RUN
        )
        for metric in (each for each in vars(self).values() if isinstance(each, Metric)):
            metric.set_default_tags({"run": run, "output": storage.without_secrets(output)})
        self._rows_left, self._rows_planned = rows_left, rows_planned
        self._last_success, self._last_row = last_success, time.monotonic()
        self._over, self._telling = threading.Event(), threading.Lock()
        self.left.set(rows_left())

    def __enter__(self) -> Self:
        """Begin to tell from time to time how the run is getting on."""
        threading.Thread(target=self._tell_again, name="metrics", daemon=True).start()
        return self

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row as the writer returns it; a batch and its size are counted with its first row."""
        self._last_row = time.monotonic()
        self.rows.inc(tags={"status": row["status"]})
        self.left.set(self._rows_left())
        if row["retries"]:
            self.retries.inc(row["retries"])
        for stage, seconds in row["seconds"].items():
            if seconds:
                self.seconds.inc(seconds, tags={"stage": stage})
        if row["batch_size"]:
            self.batches.inc()
            self.batch_size.observe(row["batch_size"])
        if row["status"] == "ok" and math.isfinite(row["total_loss"]):
            self.loss.observe(row["total_loss"])

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        """Tell that nothing is left to wait for, however the run has ended: its driver may live on."""
        with self._telling:
            self._over.set()
            self.left.set(0)
            if kind is None:
                self.success.set(time.time())

    def _tell_again(self) -> None:
        """Tell how the run is getting on, now and from time to time until it is over."""
        while True:
            with self._telling:
                if self._over.is_set():
                    return
                self.left.set(self._rows_left())
                self.planned.set(self._rows_planned())
                self.age.set(time.monotonic() - self._last_row)
                if self._last_success:
                    self.success.set(self._last_success)
            if self._over.wait(HEARTBEAT_SECONDS):
                return


EVENT = ("id", "status", "error_class", "error", "output", "total_loss", "seconds", "retries")
"""What is logged of the outcome of a row, each under its name behind `nst.row.`, for logs that keep attributes."""


def log_outcome(row: Mapping[str, Any]) -> None:
    """Log the outcome of a row as one event, and what there is of its attributes."""
    attributes = {f"nst.row.{name}": row[name] for name in EVENT if row.get(name) not in (None, "")}
    if row.get("traceparent"):
        attributes["nst.row.traceparent"] = row["traceparent"]  # of which logs as JSON lines make the event's trace
    level = logging.INFO if row["status"] == "ok" else logging.WARNING
    log.log(level, "row %s: %s", row["id"], row["status"], extra=attributes)


class BusyShare:
    """A kernel that also exports how busy its device is: the share of its time that it spent optimising.

    It is told after each batch, and in between from time to time: of a device that waits, as of one at work, the time
    that this batch has taken so far counts. So one that starves is seen while it does.
    """

    def __init__(self, optimise: Callable[[Fetched], Optimised], *, run: str = "", output: str = "") -> None:
        """Watch a kernel.

        Args:
            optimise: the kernel.
            run: owner of the lock of the output.
            output: URI of the output.
        """
        self.share = Gauge(
            "nst_device_busy_share",
            "Of the time since its last batch but one ended, that an actor optimised.",
            ("device", *OF_RUN),
        )
        self.share.set_default_tags({"run": run, "output": storage.without_secrets(output)})
        self._optimise = optimise
        self._device, self._worked, self._waited = "", 0.0, 0.0
        self._changed, self._is_at_work = time.monotonic(), False
        threading.Thread(target=self._tell_again, name="busy share", daemon=True).start()

    def __call__(self, fetched: Fetched) -> Optimised:
        """Optimise a batch."""
        self._waited, self._worked = time.monotonic() - self._changed, 0.0
        self._changed, self._is_at_work = time.monotonic(), True
        try:
            optimised = self._optimise(fetched)
        finally:
            self._changed, self._is_at_work = time.monotonic(), False
        self._device, self._worked, self._waited = optimised.device, optimised.seconds, optimised.waited
        self._tell(0.0)
        return optimised

    def _tell_again(self) -> None:
        """Tell the share from time to time, as long as the process lives."""
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            self._tell(time.monotonic() - self._changed)

    def _tell(self, now: float) -> None:
        """Tell the share, given the seconds for which the device has been at work or waiting now."""
        worked, waited = self._worked, self._waited
        worked, waited = (worked + now, waited) if self._is_at_work else (worked, waited + now)
        if self._device and worked + waited:  # before its first batch there is no device to speak of
            self.share.set(worked / (worked + waited), tags={"device": self._device})
