"""Runs of a grid, night after night: each in a folder of its own, and a pointer to the last one that is complete.

    OUTPUT/history/ID.json   one small file for each run: what it is, when it began, whether and how it ended
    OUTPUT/runs/ID/          the run's own images/, results/ and run.json
    OUTPUT/latest.json       the last run that came to its end; written after everything that it speaks of

An id is the UTC time of the beginning and eight digits that stand for the grid: rows, parameters, encoder.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline.encoder import load_encoder
from pipeline.flow.run import Job, Progress, check_covered, run_rows
from pipeline.grids.expand import Keep
from pipeline.manifest.reader import Row, derive_id
from pipeline.outputs import table as result_table
from pipeline.recovery.run_lock import Locked, RunLock
from pipeline.storage import operations as storage

CONTINUED_WITHIN = timedelta(hours=20)
"""A run that broke off is continued by the next one of the same grid, unless it began longer ago: then the next one
is another night's. Clearly less than a day, as nights never begin at the same second."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Night:
    """One run of a grid.

    Attributes:
        id: with its date.
        grid: digits of what was asked.
        name: of the job.
        began_at: UTC.
        rows: in all.
        finished_at: UTC; None: it is at work, or broke off.
        counts: rows by status.
        leaving: whether it is being deleted.
    """

    id: str
    grid: str
    name: str
    began_at: datetime
    rows: int
    finished_at: datetime | None = None
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    leaving: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether it came to its end and is all there."""
        return self.finished_at is not None and not self.leaving


def folder_of(output: str, id: str) -> str:
    """The output of one run, as any run has it."""
    return storage.join(output, "runs", id)


def latest_file(output: str) -> str:
    """Where the pointer to the last complete run is."""
    return storage.join(output, "latest.json")


def latest(output: str) -> str | None:
    """The output of the last complete run; None where there is none.

    Raises:
        StorageError: if the pointer cannot be read.
        ValueError: for one that somebody else has written.
    """
    pointer = latest_file(output)
    try:
        return folder_of(output, str(json.loads(storage.read_bytes(pointer))["run"]))
    except storage.StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{pointer}: expected an object that names a run, {{"run": "…"}}; {error}') from error


def nights(output: str) -> list[Night]:
    """Every run, the newest first; nothing where there was none.

    Raises:
        StorageError: if one cannot be read.
    """
    try:
        found = storage.list_files(storage.join(output, "history"), suffix=".json")
    except storage.StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return []
        raise
    with ThreadPoolExecutor(16) as pool:
        return sorted(pool.map(_read, found), key=lambda night: night.id, reverse=True)


def run_night(
    rows: Sequence[Row],
    job: Job,
    *,
    name: str,
    keep: Keep | None = None,
    now: datetime | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    compute: Callable[..., Progress] = run_rows,
) -> Progress:
    """Compute a grid's rows as a run of its own, or go on with the one that broke off.

    Args:
        rows: of the grid.
        job: how; its output holds all runs.
        name: of the job.
        keep: which complete runs are kept; None: all.
        now: UTC.
        on_progress: as for `run`.
        compute: computes rows, as `run_rows`.

    Raises:
        ManifestError: if rows ask for layers that the encoder lacks; nothing was started.
        Locked: if another run writes to this output; nothing was started.
        RunBroken: as `run`, and whatever else it raises.
    """
    encoder = load_encoder(job.weights)
    check_covered(rows, encoder)
    now = now or result_table.now()
    with RunLock(job.output, force=job.force) as lock:
        night = _tonight(job.output, grid_of(rows, encoder.sha256), name, len(rows), now)
        _write(job.output, night)
        own = dataclasses.replace(job, output=folder_of(job.output, night.id))
        progress = compute(rows, own, on_progress=on_progress)
        lock.check()
        ended = max(result_table.now(), now)
        night = dataclasses.replace(night, finished_at=ended, counts=_counted(own.output))
        _write(job.output, night)
        said = {"run": night.id, "folder": f"runs/{night.id}", "name": name, "rows": night.rows}
        said |= {"counts": night.counts, "finished_at": ended.isoformat(timespec="seconds")}
        storage.write_bytes(latest_file(job.output), json.dumps(said, indent=2).encode() + b"\n")
        if keep:
            clear(job.output, keep, now=ended)
    return progress


def grid_of(rows: Sequence[Row], encoder_sha256: str) -> str:
    """Eight digits for what is asked, whatever the order."""
    meanings = sorted((row.id, derive_id(row.content, row.style, row.params, encoder_sha256)) for row in rows)
    return hashlib.sha256(json.dumps(meanings).encode()).hexdigest()[:8]


def _tonight(output: str, grid: str, name: str, rows: int, now: datetime) -> Night:
    """The last run of this grid if it broke off a while ago, else a new one."""
    found = nights(output)
    same = [night for night in found if night.grid == grid]
    if same and same[0].finished_at is None and now - same[0].began_at < CONTINUED_WITHIN:
        log.info("run %s is continued", same[0].id)
        return same[0]
    id = f"{now:%Y-%m-%dT%H%M%SZ}-{grid}"
    while any(night.id == id for night in found):  # the last one took less than a second
        id += "-again"
    return Night(id, grid, name, now, rows)


def _counted(folder: str) -> dict[str, int]:
    """Rows by status over the whole run, not only its last part."""
    statuses = result_table.read_results(folder, columns=["status"])["status"].to_pylist()
    return {status: statuses.count(status) for status in result_table.STATUSES if status in statuses}


def clear(output: str, keep: Keep, *, now: datetime) -> list[str]:
    """Delete complete runs that need not be kept; ids of those that are gone.

    The latest stays in any case, and so does one that is being worked on, such as by `nst retry`. What was about to
    be deleted when an earlier run died is deleted now.

    Raises:
        StorageError: if something cannot be deleted; what is half deleted is no complete run any more.
    """
    found = nights(output)
    complete = sorted((night for night in found if night.is_complete), key=_end, reverse=True)
    kept = {night.id for night in complete[: keep.runs or 0]}
    kept |= {night.id for night in complete if keep.days and now - _end(night) <= timedelta(days=keep.days)}
    kept |= {night.id for night in complete if folder_of(output, night.id) == latest(output)}
    gone = []
    for night in [each for each in found if each.leaving or (each.is_complete and each.id not in kept)]:
        folder = folder_of(output, night.id)
        try:
            with RunLock(folder):
                _write(output, dataclasses.replace(night, leaving=True))
                storage.remove_folder(folder)
        except Locked:
            log.info("run %s is being worked on and stays", night.id)
            continue
        storage.remove(_file(output, night.id))
        gone.append(night.id)
    return gone


def _end(night: Night) -> datetime:
    return night.finished_at or night.began_at


def _file(output: str, id: str) -> str:
    return storage.join(output, "history", f"{id}.json")


def _write(output: str, night: Night) -> None:
    said = dataclasses.asdict(night)
    storage.write_bytes(_file(output, night.id), json.dumps(said, indent=2, default=_as_text).encode() + b"\n")


def _as_text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _read(uri: str) -> Night:
    try:
        said: dict[str, Any] = json.loads(storage.read_bytes(uri))
        said["began_at"] = datetime.fromisoformat(said["began_at"])
        said["finished_at"] = said["finished_at"] and datetime.fromisoformat(said["finished_at"])
        return Night(**said)
    except (ValueError, KeyError, TypeError) as error:
        raise storage.StorageError(f"cannot read {uri}: {error}. Delete it if its run is of no use") from error
