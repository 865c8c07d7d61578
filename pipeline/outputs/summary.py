"""run.json: what a run was asked, what it planned, what it came to. Written last: where it is new, a run is over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pipeline import storage
from pipeline.options import Encoding
from pipeline.outputs import provenance
from pipeline.outputs.layout import summary_file
from pipeline.outputs.schema import STATUSES

if TYPE_CHECKING:
    from nst_kernel import Weights

VERSION = 1


def of(
    job: Mapping[str, object],
    plan: Mapping[str, int],
    counts: Mapping[str, int],
    *,
    retries: int,
    encoder: Weights,
    started_at: datetime,
) -> dict[str, object]:
    """A run that has ended.

    Args:
        job: its parameters.
        plan: rows to do, in how many batches, and rows that needed none.
        counts: rows by status. They add up to the plan's.
        retries: requests to storage that were repeated for its rows.
        encoder: that was used.
        started_at: UTC.
    """
    finished_at = provenance.now()
    return {
        "version": VERSION,
        "plan": dict(plan),
        "counts": {status: counts.get(status, 0) for status in STATUSES},
        "retries": retries,
        "started_at": started_at.isoformat(timespec="seconds"),
        "finished_at": finished_at.isoformat(timespec="seconds"),
        "seconds": round((finished_at - started_at).total_seconds(), 3),
        "encoder": encoder.name,
        "encoder_sha256": encoder.sha256,
        "versions": dict(provenance.versions()),
        "host": provenance.host(),
        "job": dict(job),
    }


def write(output: str, said: Mapping[str, object]) -> None:
    """Write the summary whole.

    Raises:
        StorageError: if it cannot be written.
    """
    storage.write_bytes(summary_file(output), json.dumps(said, indent=2, default=str).encode() + b"\n")


def joined(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of a run that was computed in parts, of those of all parts before, and of the one that followed."""
    if not before or not after:
        return dict(after or before)
    sums = {
        part: {name: count + before[part].get(name, 0) for name, count in after[part].items()}
        for part in ("plan", "counts")
    }
    began, ended = (datetime.fromisoformat(str(moment)) for moment in (before["started_at"], after["finished_at"]))
    return {
        **after,
        **sums,
        "retries": before["retries"] + after["retries"],
        "started_at": before["started_at"],
        "seconds": (ended - began).total_seconds(),
    }


def read(output: str) -> dict[str, object]:
    """The summary of the last run that ended by itself; empty where there is none.

    Raises:
        StorageError: if it cannot be read.
    """
    try:
        said = json.loads(storage.read_bytes(summary_file(output)))
    except storage.NotFound:
        return {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def weights_of(output: str) -> str | None:
    """The weights that the last run was given, if it says so.

    Raises:
        StorageError: if the summary cannot be read.
    """
    found = _job(output).get("weights")
    return found if isinstance(found, str) else None


def encoding_of(output: str) -> Encoding:
    """How the last run wrote its pictures, if it says so.

    Raises:
        StorageError: if the summary cannot be read.
    """
    found = _job(output).get("encoding")
    return Encoding(**found) if isinstance(found, dict) else Encoding()


def _job(output: str) -> Mapping[str, object]:
    job = read(output).get("job")
    return job if isinstance(job, dict) else {}
