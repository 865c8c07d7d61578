"""Which run somebody means who names a folder: the output of one, or the latest of a grid's."""

from pipeline import storage
from pipeline.outputs import layout
from pipeline.outputs.grid_runs import all_runs, folder_of, latest
from pipeline.outputs.table import parts
from pipeline.storage import StorageError

PREVIOUS = "@previous"
"""Behind a grid's folder: the last complete run before the latest."""


def run_of(uri: str) -> str:
    """The output of a run.

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
    return folder if parts(folder) else _latest(folder)


def _latest(folder: str) -> str:
    found = latest(folder)
    if found is None:
        expected = f"{layout.results_folder(folder)}/*.parquet, or a grid's latest.json"
        raise StorageError(f"no results in {folder}: expected {expected}")
    return found


def _previous(folder: str) -> str:
    """By when they ended, as a run that broke off may have been continued after another one."""
    last = _latest(folder)
    ended = {
        folder_of(folder, grid_run.id): grid_run.finished_at for grid_run in all_runs(folder) if grid_run.is_complete
    }
    in_order = sorted((moment, run) for run, moment in ended.items() if moment)
    before = [run for _, run in in_order[: next((n for n, (_, run) in enumerate(in_order) if run == last), 0)]]
    if not before:
        raise ValueError(f"{folder}{PREVIOUS}: there is no complete run before {last}")
    return before[-1]
