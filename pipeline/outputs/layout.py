"""Where everything lies in the output folder of a run."""

from collections.abc import Mapping
from typing import Any

from pipeline import storage


def images_folder(output: str) -> str:
    """Where the pictures of a run are."""
    return storage.join(output, "images")


def picture_of(output: str, row: Mapping[str, Any]) -> str:
    """The URI of a row's picture where the output is now: it may have been copied since."""
    name = row.get("output_name")
    return storage.join(images_folder(output), name) if name else str(row["output"])


def results_folder(output: str) -> str:
    """Where the Parquet parts of a run are."""
    return storage.join(output, "results")


def ledger_folder(output: str) -> str:
    """Where the open attempts of a run are."""
    return storage.join(output, "ledger")


def lock_file(output: str) -> str:
    """Where the lock of an output is."""
    return storage.join(output, "run.lock")


def saved_states_folder(output: str) -> str:
    """Where states lie."""
    return storage.join(output, "preempted")


def progress_file(output: str) -> str:
    """Where a run with this output says how far it is."""
    return storage.join(output, "progress.json")


def summary_file(output: str) -> str:
    """Where the summary of an output's last run is."""
    return storage.join(output, "run.json")


def index_file(output: str) -> str:
    """Where the index of an output is."""
    return storage.join(output, "index.parquet")
