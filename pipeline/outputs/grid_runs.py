"""The records of the runs of a grid, in the folder of the grid."""

import dataclasses
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline import layout, storage
from pipeline.manifest import shown


@dataclass(frozen=True)
class GridRun:
    """One run of a grid.

    Attributes:
        id: the UTC time of the beginning, and `grid`.
        grid: eight hex digits of its rows, parameters and encoder.
        name: of the job.
        began_at: UTC.
        rows: of the grid.
        finished_at: UTC; None: it is still going on, or broke off.
        counts: rows by status.
        leaving: whether its output is being deleted.
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
        """Whether it came to its end and is not being deleted."""
        return self.finished_at is not None and not self.leaving


def latest(output: str) -> str | None:
    """Return the output of the last complete run of a grid; None where there is none.

    Raises:
        StorageError: if the pointer cannot be read.
        ValueError: if the pointer was written by another program.
    """
    pointer = layout.latest_file(output)
    try:
        return layout.run_folder(output, _run_id(json.loads(storage.read_bytes(pointer))["run"]))
    except storage.NotFound:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{pointer}: expected an object that names a run, {{"run": "…"}}; {error}') from error


def all_runs(output: str) -> list[GridRun]:
    """Return the record of every run of a grid, the newest first; none where there was no run.

    Raises:
        StorageError: if one cannot be read.
    """
    try:
        records = storage.list_files(layout.history_folder(output), suffix=".json")
    except storage.NotFound:
        return []
    with ThreadPoolExecutor(16) as pool:
        return sorted(pool.map(_read, records), key=lambda grid_run: grid_run.id, reverse=True)


def write_run(output: str, grid_run: GridRun) -> None:
    """Write the record of a run, in the place of an older one."""
    record = dataclasses.asdict(grid_run)
    storage.write_bytes(
        layout.history_file(output, grid_run.id), json.dumps(record, indent=2, default=_as_text).encode() + b"\n"
    )


def _as_text(moment: datetime) -> str:
    """Return a moment as ISO 8601 with whole seconds."""
    return moment.isoformat(timespec="seconds")


def _read(uri: str) -> GridRun:
    """Return the record of a run, or raise StorageError with what to do.

    Somebody else may have written it: what it says decides which folders are deleted.
    """
    try:
        record: dict[str, Any] = json.loads(storage.read_bytes(uri))
        if uri.rpartition("/")[2] != f"{_run_id(record['id'])}.json":
            raise ValueError(f"id {shown(record['id'])}, expected that of the file's name")
        record["began_at"] = _moment(record["began_at"])
        record["finished_at"] = record["finished_at"] and _moment(record["finished_at"])
        run = GridRun(**record)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise storage.StorageError(f"cannot read {uri}: {error}. Delete it if its run is of no use") from error
    numbers = [run.rows, *run.counts.values()] if isinstance(run.counts, dict) else [None]
    if not all(type(number) is int for number in numbers) or not isinstance(run.leaving, bool):
        raise storage.StorageError(f"cannot read {uri}: expected numbers of rows. Delete it if its run is of no use")
    return run


def _run_id(value: object) -> str:
    """Return a value that was read as the id of a run; raise ValueError if it cannot be one."""
    if not layout.is_run_id(value):
        raise ValueError(f"id {shown(value)}, expected one such as 2026-01-31T020000Z-0123abcd")
    return str(value)


def _moment(text: str) -> datetime:
    """Return a moment that was read; raise ValueError for one without a time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{shown(text)}, expected a time with its zone")
    return moment
