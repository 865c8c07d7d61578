"""Runs of a grid: each in a folder of its own, and a pointer to the last one that is complete.

    OUTPUT/history/ID.json   one small file for each run: what it is, when it began, whether and how it ended
    OUTPUT/runs/ID/          the run's own images/, results/ and run.json
    OUTPUT/latest.json       the last run that came to its end; written after everything that it speaks of

An id is the UTC time of the beginning and eight digits that stand for the grid: rows, parameters, encoder.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pipeline import storage
from pipeline.encoder import outline_of
from pipeline.flow import run_rows
from pipeline.manifest import Row, check_covered, derive_id
from pipeline.options import RunOptions, under_access
from pipeline.outputs import STATUSES, Progress, grid_runs, layout, provenance, read_results
from pipeline.recovery import Locked, RunLock
from pipeline.specs import Keep

CONTINUED_WITHIN = timedelta(hours=20)
"""A run that broke off is continued by the next one of the same grid, unless it began longer ago: then the next one
is the next day's. Clearly less than a day, as daily runs never begin at the same second."""

log = logging.getLogger(__name__)


@under_access
def run_grid(
    rows: Sequence[Row],
    options: RunOptions,
    *,
    name: str,
    keep: Keep | None = None,
    now: datetime | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Progress:
    """Compute the rows of a grid as a run of its own, or continue the one that broke off.

    Args:
        rows: of the grid.
        options: of the run; their output holds all runs.
        name: of the job.
        keep: which complete runs are kept; None: all.
        now: UTC; by default the time now.
        on_progress: as for `run`.

    Raises:
        ManifestError: if rows use layers that the encoder lacks; nothing was started.
        Locked: if another run writes to this output; nothing was started.
        RunBroken: as `run`, and whatever else it raises.
    """
    encoder = outline_of(options.weights)
    check_covered(rows, encoder)
    now = now or provenance.now()
    with RunLock(options.output, force=options.force) as lock:
        grid_run = _continued_or_new(options.output, grid_of(rows, encoder.sha256), name, len(rows), now)
        own = options.model_copy(update={"output": layout.run_folder(options.output, grid_run.id)})
        storage.check_inside(layout.images_folder(own.output), layout.runs_folder(options.output))
        grid_runs.write_run(options.output, grid_run)
        progress = run_rows(rows, own, on_progress=on_progress)
        lock.check()
        ended = max(provenance.now(), now)
        grid_run = dataclasses.replace(grid_run, finished_at=ended, counts=_counted(own.output))
        grid_runs.write_run(options.output, grid_run)
        _point_to(options.output, grid_run)
        if keep:
            clear(options.output, keep, now=ended)
    return progress


def _point_to(output: str, grid_run: grid_runs.GridRun) -> None:
    """Make a run that has come to its end the latest complete one of its grid."""
    assert grid_run.finished_at is not None
    pointer = {
        "run": grid_run.id,
        "folder": f"{layout.RUNS}/{grid_run.id}",
        "name": grid_run.name,
        "rows": grid_run.rows,
        "counts": grid_run.counts,
        "finished_at": grid_run.finished_at.isoformat(timespec="seconds"),
    }
    storage.write_bytes(layout.latest_file(output), json.dumps(pointer, indent=2).encode() + b"\n")


def grid_of(rows: Sequence[Row], encoder_sha256: str) -> str:
    """Return eight hex digits that stand for the rows of a grid and the encoder, in any order."""
    requests = sorted((row.id, derive_id(row.content, row.style, row.params, encoder_sha256)) for row in rows)
    return hashlib.sha256(json.dumps(requests).encode()).hexdigest()[:8]


def _continued_or_new(output: str, grid: str, name: str, rows: int, now: datetime) -> grid_runs.GridRun:
    """Return the last run of a grid if it broke off not long ago, else a new one."""
    runs = grid_runs.all_runs(output)
    if broken_off := _unfinished(runs, grid, now):
        log.info("run %s is continued", broken_off.id)
        return broken_off
    id = f"{now:%Y-%m-%dT%H%M%SZ}-{grid}"
    while any(grid_run.id == id for grid_run in runs):  # the last one took less than a second
        id += "-again"
    return grid_runs.GridRun(id, grid, name, now, rows)


def _unfinished(runs: Sequence[grid_runs.GridRun], grid: str, now: datetime) -> grid_runs.GridRun | None:
    """Return the last run of a grid if it goes on, or broke off not long ago; else None."""
    same = [grid_run for grid_run in runs if grid_run.grid == grid]
    is_recent = same and same[0].finished_at is None and now - same[0].began_at < CONTINUED_WITHIN
    return same[0] if is_recent else None


def run_at_work(output: str, grid: str, *, started_at: datetime) -> str | None:
    """Return the output of the run of a grid that goes on; None where none does, or it has not begun to write.

    Only for who has started it: that it holds the lock of the output is not looked at.

    Args:
        output: of the grid.
        grid: as `grid_of` returns it.
        started_at: when that was, UTC: what had broken off long before is not continued.

    Raises:
        StorageError: if the records of the runs cannot be read.
    """
    found = _unfinished(grid_runs.all_runs(output), grid, started_at)
    return layout.run_folder(output, found.id) if found else None


def _counted(folder: str) -> dict[str, int]:
    """Return rows by status of a whole run, not only of the part that was computed last."""
    statuses = read_results(folder, columns=["status"])["status"].to_pylist()
    return {status: statuses.count(status) for status in STATUSES if status in statuses}


def clear(output: str, keep: Keep, *, now: datetime) -> list[str]:
    """Delete complete runs that need not be kept, and return their ids.

    The latest stays in any case, and so does one that another run writes to, such as `nst retry`. What was being
    deleted when an earlier run crashed is deleted now.

    Args:
        output: of the grid.
        keep: which complete runs are kept.
        now: UTC.

    Raises:
        StorageError: if something cannot be deleted; what is half deleted is no complete run any more.
    """
    runs = grid_runs.all_runs(output)
    complete = sorted((grid_run for grid_run in runs if grid_run.is_complete), key=_end, reverse=True)
    kept = {grid_run.id for grid_run in complete[: keep.runs or 0]}
    kept |= {grid_run.id for grid_run in complete if keep.days and now - _end(grid_run) <= timedelta(days=keep.days)}
    kept |= {grid_run.id for grid_run in complete if layout.run_folder(output, grid_run.id) == grid_runs.latest(output)}
    gone = []
    for grid_run in [each for each in runs if each.leaving or (each.is_complete and each.id not in kept)]:
        try:
            _delete(output, grid_run)
        except Locked:
            log.info("run %s is being written to and stays", grid_run.id)
            continue
        storage.remove(layout.history_file(output, grid_run.id))
        gone.append(grid_run.id)
    return gone


def _delete(output: str, grid_run: grid_runs.GridRun) -> None:
    """Delete the output of a run; where it is a link, the link alone, and nothing is written to where that leads."""
    folder, runs = layout.run_folder(output, grid_run.id), layout.runs_folder(output)
    if storage.is_link(folder):
        storage.remove(folder, inside=runs)
        return
    with RunLock(folder):
        grid_runs.write_run(output, dataclasses.replace(grid_run, leaving=True))
        storage.remove_folder(folder, inside=runs)


def _end(grid_run: grid_runs.GridRun) -> datetime:
    """Return when a run ended; when it began, if it is not complete."""
    return grid_run.finished_at or grid_run.began_at
