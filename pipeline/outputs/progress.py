"""How far a run is: counted by the driver, and written beside its results where others can read it."""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self

from pipeline import storage
from pipeline.outputs import provenance

VERSION = 1
EVERY_SECONDS = 5.0
"""Between two writes of the file, even if no row finished meanwhile: that tells a reader that the driver lives."""

State = Literal["running", "finished", "stopped", "broken off"]

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        total: rows that the plan has to compute.
        done_before: rows that needed nothing.
        quarantined_before: rows that are left alone, since they killed their processes in earlier runs.
        counts: rows finished in this run, by status.
        failures: of this run, id and error, the first hundred.
        retries: requests to storage that were repeated for rows of this run.
        seconds: since the work began.
    """

    total: int
    done_before: int
    quarantined_before: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)
    retries: int = 0
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    @property
    def finished(self) -> int:
        """Rows that have an outcome."""
        return sum(self.counts.values())

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row's outcome."""
        self.counts[row["status"]] += 1
        self.retries += row["retries"]
        if row["status"] in ("failed", "quarantined") and len(self.failures) < 100:
            self.failures.append((row["id"], row["error"]))
        self.seconds = time.monotonic() - self.began


@dataclass(frozen=True)
class Report:
    """A progress file as read.

    Attributes:
        state: of the run, when it last said so.
        progress: of its rows.
        updated_at: when that was, UTC. A living driver says so every few seconds.
        submission: the job on a cluster that the run is of; empty for a run that nobody submitted.
        error: why it broke off.
    """

    state: State
    progress: Progress
    updated_at: datetime
    submission: str = ""
    error: str = ""


def read(uri: str) -> Report | None:
    """What a progress file says; None where there is none yet.

    Raises:
        StorageError: if it cannot be read, or is no progress file.
    """
    try:
        said = json.loads(storage.read_bytes(uri))
        progress = Progress(
            said["total"], said["done_before"], said["quarantined_before"], Counter(said["counts"]), said["failures"]
        )
        progress.seconds = said["seconds"]
        updated_at = datetime.fromisoformat(said["updated_at"])
        return Report(said["state"], progress, updated_at, said["submission"], said["error"])
    except storage.NotFound:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise storage.StorageError(f"{uri} is no progress file of this version: {error!r}") from error


class ProgressFile:
    """Keeps a progress file up to date from `with` to the end of it, from a thread of its own.

    Storage that is slow or down holds nobody up: the file is for looking at, and the next one will do. Nothing is
    written before the first `update`, which comes once the run has the lock of its output: a run that is refused does
    not speak for the one at work.
    """

    def __init__(self, uri: str, *, submission: str = "", every: float = EVERY_SECONDS) -> None:
        self.uri, self.submission, self.every = uri, submission, every
        self._progress: Progress | None = None
        self._over = threading.Event()
        self._writer = threading.Thread(target=self._keep, name="progress file", daemon=True)

    def __enter__(self) -> Self:
        return self

    def update(self, progress: Progress) -> None:
        """Take notice of how far the run is."""
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
        self._write("running")
        while not self._over.wait(self.every):
            self._write("running")

    def _write(self, state: State, error: str = "") -> None:
        assert self._progress is not None
        try:
            storage.write_bytes(self.uri, json.dumps(self._said(self._progress, state, error)).encode() + b"\n")
        except storage.StorageError as trouble:
            log.warning("how far the run is could not be written: %s", trouble)

    def _said(self, progress: Progress, state: State, error: str) -> Mapping[str, Any]:
        return {
            "version": VERSION,
            "state": state,
            "total": progress.total,
            "done_before": progress.done_before,
            "quarantined_before": progress.quarantined_before,
            "counts": dict(progress.counts),
            "seconds": round(progress.seconds, 3),
            "failures": progress.failures[:5],
            "error": error,
            "submission": self.submission,
            "updated_at": provenance.now().isoformat(timespec="milliseconds"),
        }
