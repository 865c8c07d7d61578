"""The progress of a run: counted by the driver, and written into its output, where others can read it."""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self, get_args

from pipeline import storage
from pipeline.images import Unreadable
from pipeline.outputs import provenance
from pipeline.outputs.pair_name import pair_name
from pipeline.outputs.passed_over import PassedOver

VERSION = 1
EVERY_SECONDS = 5.0
"""Seconds between two writes of the file, even if no row finished meanwhile: readers see that the driver lives."""

State = Literal["running", "finished", "stopped", "broken off"]

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """The numbers of rows that a run has to compute and has computed.

    Attributes:
        total: rows that the plan has to compute.
        done_before: rows that needed nothing.
        quarantined_before: rows that are not tried, since their processes crashed in earlier runs.
        counts: rows finished in this run, by status.
        failures: of this run, id and error, the first hundred.
        warnings: of this run, id and what is doubtful about the picture, the first hundred.
        warned: rows of this run that have such a warning.
        remarks: on the parameters of the rows to compute.
        names: by id, what rows with a failure or a warning are called among people.
        leaves_unreadable: whether rows are left alone whose pictures cannot be read, until these change: an archive's.
        left_alone: rows of this run that failed and will be left alone for that.
        failed_before: rows that are not tried, since a picture of theirs cannot be read and has not changed.
        works: what is known of the work that is done and left.
        passed_over: files and folders of an archive that the run leaves out.
        retries: requests to storage that were repeated for rows of this run.
        began: when the work began, on the monotonic clock.
        seconds: from then to the last row that finished.
    """

    total: int
    done_before: int
    quarantined_before: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)
    passed_over: PassedOver = field(default_factory=PassedOver)
    retries: int = 0
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    warnings: list[tuple[str, str]] = field(default_factory=list)
    warned: int = 0
    remarks: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    failed_before: int = 0
    leaves_unreadable: bool = False
    left_alone: int = 0
    works: "Works" = field(default_factory=lambda: Works())

    @property
    def finished(self) -> int:
        """The number of rows that have an outcome."""
        return sum(self.counts.values())

    @property
    def problems(self) -> int:
        """The number of rows without a good picture, those of earlier runs that are left alone among them."""
        return self.total - self.counts["ok"] + self.quarantined_before + self.failed_before

    @property
    def wanted(self) -> int:
        """The number of rows that were requested, as far as they were looked at."""
        return self.total + self.done_before + self.quarantined_before + self.failed_before

    def add(self, row: Mapping[str, Any]) -> None:
        """Count the outcome of a row, given as a mapping of result columns."""
        self.counts[row["status"]] += 1
        self.retries += row["retries"]
        if self.leaves_unreadable and row["status"] == "failed" and row.get("error_class") == Unreadable.__name__:
            self.left_alone += 1
        if row["status"] in ("failed", "quarantined") and len(self.failures) < 100:
            self.failures.append((row["id"], row["error"]))
            self.names[row["id"]] = pair_name(row)
        if row.get("warning"):
            self.warned += 1
            if len(self.warnings) < 100:
                self.warnings.append((row["id"], row["warning"]))
                self.names[row["id"]] = pair_name(row)
        self.seconds = time.monotonic() - self.began
        self.works.done(row, self)

    def expect(self, works: Mapping[str, float], *, rows: int) -> None:
        """Take further rows as planned.

        Args:
            works: by id, the work of each of them, from which the time left is told; none where they are too many.
            rows: how many there are.
        """
        self.total += rows
        self.works.expect(works, rows=rows)

    @property
    def rate(self) -> float | None:
        """Rows for each second since work on the first one began; None while none has begun that was not refused."""
        if self.works.began is None:
            return None
        spent = self.seconds - (self.works.began - self.began)
        return self.finished / spent if spent > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the last row is done, at the rate since work began; None while that is not known."""
        if not self.finished or self.finished >= self.total:
            return None
        return self.works.known_left if self.works.known_left is not None else self.works.left(self)


@dataclass
class Works:
    """How much work the rows of a run are, for the time that is left.

    Attributes:
        of_row: by id, of rows that are not done.
        total: of all rows of the run.
        began: when work on the first row began, on the monotonic clock: encoders had started by then.
        known_left: seconds that are left, as a file says; None: they are computed.
        is_known: whether the work of each row is known.
    """

    of_row: dict[str, float] = field(default_factory=dict)
    total: float = 0.0
    began: float | None = None
    known_left: float | None = None
    is_known: bool = True

    def expect(self, works: Mapping[str, float], *, rows: int) -> None:
        """Take the work of further rows; where that of some is not known, rows are counted."""
        self.is_known = self.is_known and len(works) == rows
        if self.is_known:
            self.of_row.update(works)
            self.total += sum(works.values())
        else:
            self.of_row, self.total = {}, 0.0

    def done(self, row: Mapping[str, Any], progress: Progress) -> None:
        """Take a row as done, given as a mapping of result columns."""
        self.of_row.pop(row["id"], None)
        if self.began is None and row["status"] in ("ok", "diverged"):
            # Rows that fail at once begin no work. Clocks of other machines may differ: within the run at any rate.
            started_at = row.get("started_at")
            ago = (provenance.now() - started_at).total_seconds() if started_at else 0.0
            self.began = max(progress.began, time.monotonic() - max(ago, 0.0))

    def left(self, progress: Progress) -> float | None:
        """Return the seconds that are left at the rate until now; None if none is known."""
        if self.began is None:
            return None
        spent = progress.began + progress.seconds - self.began
        left = sum(self.of_row.values()) if self.total else float(progress.total - progress.finished)
        done = self.total - left if self.total else float(progress.finished)
        return left * spent / done if done > 0 and spent > 0 else None


@dataclass(frozen=True)
class Report:
    """The contents of a progress file.

    Attributes:
        state: of the run, when the file was written.
        progress: of its rows.
        updated_at: when the file was written, UTC. A living driver writes it every few seconds.
        submission: name of the job on a cluster that is this run; empty for a run that was not submitted.
        error: why it broke off.
    """

    state: State
    progress: Progress
    updated_at: datetime
    submission: str = ""
    error: str = ""


def read(uri: str) -> Report | None:
    """Return the contents of a progress file; None where there is none yet.

    Raises:
        StorageError: if it cannot be read, or is no progress file.
    """
    try:
        contents = json.loads(storage.read_bytes(uri))
        progress = Progress(
            int(contents["total"]),
            int(contents["done_before"]),
            int(contents["quarantined_before"]),
            Counter({str(status): int(count) for status, count in contents["counts"].items()}),
            [(str(row), str(error)) for row, error in contents["failures"]],
        )
        progress.failed_before = int(contents.get("failed_before", 0))
        progress.seconds = float(contents["seconds"])
        if (waited := contents.get("seconds_before_work", 0.0)) is not None:
            progress.works.began = progress.began + float(waited)
        rest, done = progress.total - progress.finished, progress.finished
        progress.works.known_left = contents.get("seconds_left", rest * progress.seconds / done if done else None)
        progress.passed_over = PassedOver.of(contents.get("passed_over"))
        updated_at = datetime.fromisoformat(contents["updated_at"]).astimezone(UTC)
        state = contents["state"]
        if state not in get_args(State):
            raise ValueError(f"state {state!r}")
        return Report(state, progress, updated_at, str(contents["submission"]), str(contents["error"]))
    except storage.NotFound:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise storage.StorageError(f"{uri} is no progress file of this version: {error!r}") from error


class ProgressFile:
    """A thread that keeps a progress file up to date while its `with` block lasts.

    Storage that is slow or down does not delay the run: a later write makes up for one that failed. Nothing is written
    before the first `update`, which comes once the run has the lock of its output: a run that is refused leaves the
    file of the running one alone.
    """

    def __init__(self, uri: str, *, submission: str = "", every: float = EVERY_SECONDS) -> None:
        self.uri, self.submission, self.every = uri, submission, every
        self._progress: Progress | None = None
        self._over = threading.Event()
        self._writer = threading.Thread(target=self._keep, name="progress file", daemon=True)

    def __enter__(self) -> Self:
        return self

    def update(self, progress: Progress) -> None:
        """Set the progress that is written from now on."""
        first, self._progress = self._progress is None, progress
        if first:
            self._writer.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._progress is None:
            return
        self._over.set()
        self._writer.join()
        state: State = "broken off"
        if error is None:
            state = "finished"
        elif isinstance(error, KeyboardInterrupt | SystemExit):
            state = "stopped"
        self._write(state, str(error) if state == "broken off" else "")

    def _keep(self) -> None:
        """Write the file again and again until the run is over."""
        self._write("running")
        while not self._over.wait(self.every):
            self._write("running")

    def _write(self, state: State, error: str = "") -> None:
        """Write the file; a failure is only logged."""
        assert self._progress is not None
        try:
            storage.write_bytes(
                self.uri, json.dumps(storage.each_text(self._contents(self._progress, state, error))).encode() + b"\n"
            )
        except storage.StorageError as trouble:
            log.warning("the progress of the run could not be written: %s", trouble)

    def _contents(self, progress: Progress, state: State, error: str) -> Mapping[str, Any]:
        """Return what the file holds as JSON."""
        began = progress.works.began
        return {
            "version": VERSION,
            "state": state,
            "total": progress.total,
            "done_before": progress.done_before,
            "quarantined_before": progress.quarantined_before,
            "failed_before": progress.failed_before,
            "counts": dict(progress.counts),
            "seconds": round(progress.seconds, 3),
            "seconds_before_work": None if began is None else round(began - progress.began, 3),
            "seconds_left": None if (left := progress.seconds_left) is None else round(left, 1),
            "failures": progress.failures[:5],
            "passed_over": progress.passed_over.to_json(),
            "error": error,
            "submission": self.submission,
            "updated_at": provenance.now().isoformat(timespec="milliseconds"),
        }
