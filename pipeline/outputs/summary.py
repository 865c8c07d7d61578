"""The summary of a run, run.json: its options, plan and outcome. It is written last: where it is new, a run is over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from pipeline import storage
from pipeline.layout import summary_file
from pipeline.options import DEFAULT_DECODING, Decoding, Encoding
from pipeline.outputs import provenance
from pipeline.outputs.schema import STATUSES

if TYPE_CHECKING:
    from nst_kernel.encoder import Outline

VERSION = 1


def of(
    job: Mapping[str, object],
    plan: Mapping[str, int],
    counts: Mapping[str, int],
    *,
    retries: int,
    encoder: Outline,
    started_at: datetime,
) -> dict[str, object]:
    """Return the summary of a run that has ended.

    Args:
        job: its options by name.
        plan: numbers of rows to do, of batches, and of rows that were done before.
        counts: rows by status, which add up to the rows to do.
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


def write(output: str, contents: Mapping[str, object]) -> None:
    """Write the summary of a run into its output, whole or not at all, without secrets of URIs.

    Raises:
        StorageError: if it cannot be written.
    """
    storage.write_bytes(
        summary_file(output), json.dumps(storage.each_text(contents), indent=2, default=str).encode() + b"\n"
    )


def read(output: str) -> dict[str, object]:
    """Return the summary of the last completed run; empty if there is none.

    Raises:
        StorageError: if it cannot be read.
    """
    try:
        contents = json.loads(storage.read_bytes(summary_file(output)))
    except storage.NotFound:
        return {}
    except ValueError:
        return {}
    return contents if isinstance(contents, dict) else {}


def finished_at(output: str) -> float:
    """Return when the last run came to its end, seconds since 1970; 0 where no summary says so.

    Raises:
        StorageError: if the summary cannot be read.
    """
    try:
        return datetime.fromisoformat(str(read(output).get("finished_at"))).timestamp()
    except ValueError:
        return 0.0


def weights_of(output: str) -> str | None:
    """Return the option `weights` of the last run; None where no summary has it.

    Raises:
        StorageError: if the summary cannot be read.
    """
    weights = _job(output).get("weights")
    return weights if isinstance(weights, str) else None


def encoding_of(output: str) -> Encoding:
    """Return how the last run encoded its pictures; the default where no summary has it.

    Raises:
        StorageError: if the summary cannot be read.
    """
    encoding = _job(output).get("encoding")
    return Encoding(**encoding) if isinstance(encoding, dict) else Encoding()


def decoding_of(last: Mapping[str, object]) -> Decoding:
    """Return what decoding a picture might take in the run of a summary; the default where that does not tell."""
    job = last.get("job")
    decoding = job.get("decoding") if isinstance(job, dict) else None
    return Decoding(**decoding) if isinstance(decoding, dict) else DEFAULT_DECODING


def _job(output: str) -> Mapping[str, object]:
    """Return the options of the last run by name."""
    job = read(output).get("job")
    return job if isinstance(job, dict) else {}
