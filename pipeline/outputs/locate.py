"""The run that a URI means: the output of one, or one of the runs in a grid's folder."""

from pipeline import layout, storage
from pipeline.outputs.grid_runs import all_runs, latest
from pipeline.outputs.table import parts
from pipeline.storage import StorageError

PREVIOUS = "@previous"
"""What stands behind a grid's folder to mean the last complete run before the latest."""


def run_of(uri: str) -> str:
    """Return the output of the run that a URI means.

    Args:
        uri: an output; or the folder of a grid, for its latest complete run; or such a folder with `@previous` behind
            it, for the complete run before that.

    Raises:
        StorageError: if there is neither.
        ValueError: for a first run, which has none before it, or a `latest.json` that somebody else has written.
    """
    folder = storage.absolute(uri.removesuffix(PREVIOUS))
    if uri.endswith(PREVIOUS):
        return _previous(folder)
    try:
        return folder if parts(folder) else _latest(folder)
    except storage.WrongKind:
        raise StorageError(f"no results in {folder}: expected {_expected(folder)}") from None


def _latest(folder: str) -> str:
    """Return the output of a grid's latest complete run."""
    run = latest(folder)
    if run is None:
        raise StorageError(f"no results in {folder}: expected {_expected(folder)}")
    return run


def _expected(folder: str) -> str:
    """Return what is expected in the place of a URI that is no output; where it is near one, which."""
    parent = storage.parent(folder)
    if folder in (layout.results_folder(parent), layout.images_folder(parent), layout.report_folder(parent)):
        return f"the folder that it is in, {parent}"
    if folder.lower().endswith((".csv", ".jsonl", ".ndjson", ".parquet", ".gz", ".yaml", ".yml")):
        return "the folder that was given to `nst run` as --output; this is a file"
    return f"{layout.results_folder(folder)}/{layout.PARTS}, or a grid's {layout.LATEST}"


def _previous(folder: str) -> str:
    """Return the output of the complete run of a grid that ended last before the latest one.

    Runs are ordered by their ends, as one that broke off may have been continued after another one.
    """
    last = _latest(folder)
    complete = [grid_run for grid_run in all_runs(folder) if grid_run.is_complete]
    ends = {layout.run_folder(folder, grid_run.id): grid_run.finished_at for grid_run in complete}
    in_order = sorted((moment, run) for run, moment in ends.items() if moment)
    before = [run for _, run in in_order[: next((n for n, (_, run) in enumerate(in_order) if run == last), 0)]]
    if not before:
        raise ValueError(f"{folder}{PREVIOUS}: there is no complete run before {last}")
    return before[-1]
