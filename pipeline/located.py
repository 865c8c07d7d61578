"""Which run somebody means who names a folder: the output of one, or the latest of a grid's."""

import json
from typing import Any

from pipeline import results, storage
from pipeline.storage import StorageError

PREVIOUS = "@previous"
"""Behind a grid's folder: the last complete run before the latest."""


def run_of(uri: str) -> str:
    """The output of a run.

    Args:
        uri: an output; or the folder of a grid, which has `latest.json`, for its latest complete run; or such a folder
            with `@previous` behind it, for the complete run before that.

    Raises:
        StorageError: if there is neither.
        ValueError: for a first run, which has none before it, or a `latest.json` that somebody else has written.
    """
    folder = storage.absolute(uri.removesuffix(PREVIOUS))
    if uri.endswith(PREVIOUS):
        return storage.join(folder, "runs", _previous(folder))
    return folder if results.parts(folder) else storage.join(folder, "runs", _latest(folder))


def _latest(folder: str) -> str:
    pointer = storage.join(folder, "latest.json")
    try:
        run = _object(pointer).get("run")
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            expected = f"{results.results_folder(folder)}/*.parquet, or a grid's latest.json"
            raise StorageError(f"no results in {folder}: expected {expected}") from error
        raise
    if not run:
        raise ValueError(f'{pointer}: expected an object that names a run, such as {{"run": "…"}}')
    return str(run)


def _previous(folder: str) -> str:
    """Ids begin with the time of their run."""
    latest = _latest(folder)
    runs = map(_object, storage.list_files(storage.join(folder, "history"), suffix=".json"))
    complete = [str(run["id"]) for run in runs if run.get("finished_at") and not run.get("leaving")]
    before = [run for run in complete if run < latest]
    if not before:
        raise ValueError(f"{folder}{PREVIOUS}: there is no complete run before {latest}")
    return max(before)


def _object(uri: str) -> dict[str, Any]:
    try:
        said = json.loads(storage.read_bytes(uri))
    except ValueError as error:
        raise ValueError(f"{uri}: expected JSON ({error})") from error
    return said if isinstance(said, dict) else {}
