"""The runs of a grid, as its output folder keeps them."""

import dataclasses
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline import storage
from pipeline.outputs import layout


@dataclass(frozen=True)
class GridRun:
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


def latest(output: str) -> str | None:
    """The output of the last complete run; None where there is none.

    Raises:
        StorageError: if the pointer cannot be read.
        ValueError: for one that somebody else has written.
    """
    pointer = layout.latest_file(output)
    try:
        return layout.run_folder(output, str(json.loads(storage.read_bytes(pointer))["run"]))
    except storage.NotFound:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{pointer}: expected an object that names a run, {{"run": "…"}}; {error}') from error


def all_runs(output: str) -> list[GridRun]:
    """Every run, the newest first; nothing where there was none.

    Raises:
        StorageError: if one cannot be read.
    """
    try:
        found = storage.list_files(layout.history_folder(output), suffix=".json")
    except storage.NotFound:
        return []
    with ThreadPoolExecutor(16) as pool:
        return sorted(pool.map(_read, found), key=lambda grid_run: grid_run.id, reverse=True)


def write_run(output: str, grid_run: GridRun) -> None:
    """Write the record of a run, over an older one of it."""
    said = dataclasses.asdict(grid_run)
    storage.write_bytes(
        layout.history_file(output, grid_run.id), json.dumps(said, indent=2, default=_as_text).encode() + b"\n"
    )


def _as_text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _read(uri: str) -> GridRun:
    try:
        said: dict[str, Any] = json.loads(storage.read_bytes(uri))
        said["began_at"] = datetime.fromisoformat(said["began_at"])
        said["finished_at"] = said["finished_at"] and datetime.fromisoformat(said["finished_at"])
        return GridRun(**said)
    except (ValueError, KeyError, TypeError) as error:
        raise storage.StorageError(f"cannot read {uri}: {error}. Delete it if its run is of no use") from error
