"""Which run somebody means who names a folder: the output of one, or the latest of the nights below it."""

import json

from pipeline import results, storage
from pipeline.storage import StorageError

PREVIOUS = "@previous"
"""Behind a folder of nights: the last complete run before the latest."""


def run_of(uri: str) -> str:
    """The output of a run.

    Args:
        uri: an output; or a folder with `runs/ID/` in it and a `latest.json` that names the last complete one, in
            `output` (a URI, or a path relative to the folder), `run` or `id`; with `@previous` behind it, the complete
            one before. IDs sort by time.

    Raises:
        StorageError: if there is neither.
        ValueError: for a `latest.json` that names none, or a first night, which has none before it.
    """
    folder = storage.absolute(uri.removesuffix(PREVIOUS))
    if not uri.endswith(PREVIOUS) and results.parts(folder):
        return folder
    latest = _latest(folder)
    if not uri.endswith(PREVIOUS):
        return latest
    complete = storage.list_files(storage.join(folder, "runs"), suffix="/run.json")
    before = [run for run in sorted(map(storage.parent, complete)) if run < latest]
    if not before:
        raise ValueError(f"{uri}: no complete run before {latest}")
    return before[-1]


def _latest(folder: str) -> str:
    pointer = storage.join(folder, "latest.json")
    try:
        said = json.loads(storage.read_bytes(pointer))
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            expected = f"{results.results_folder(folder)}/*.parquet, or latest.json of a grid"
            raise StorageError(f"no results in {folder}: expected {expected}") from error
        raise
    except ValueError as error:
        raise ValueError(f"{pointer}: expected JSON ({error})") from error
    named = {name: said[name] for name in ("output", "run", "id") if isinstance(said, dict) and said.get(name)}
    if "output" in named:
        return storage.resolve(str(named["output"]), folder)
    for name in named.values():
        return storage.join(folder, "runs", str(name))
    raise ValueError(f'{pointer}: expected an object that names the last complete run, such as {{"id": "…"}}')
