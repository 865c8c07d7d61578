"""Rows of the results as work again: for `nst retry`, and as a manifest."""

import dataclasses
import json
from collections.abc import Callable, Collection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.encoder import load_encoder
from pipeline.flow.run import run_rows
from pipeline.manifest import PICTURE_COLUMNS, Row
from pipeline.options import Job
from pipeline.outputs import REQUEST_COLUMNS, Progress, name_of, read_results, summary


def rows_of(output: str, statuses: Collection[str]) -> pa.Table:
    """What was asked for the rows that have one of these statuses.

    Raises:
        StorageError: if there are no results, or they cannot be read.
    """
    table = read_results(storage.absolute(output), columns=[*REQUEST_COLUMNS, "status"])
    return table.filter(pc.is_in(table["status"], pa.array(list(statuses), pa.string())))


def retry(job: Job, statuses: Collection[str], *, on_progress: Callable[[Progress], None] | None = None) -> Progress:
    """Compute rows again that have one of these statuses, as the results say that they were asked.

    Of a quarantined row all deaths are forgotten: it has as many attempts as a new one. Pictures are written as the
    last run wrote them.

    Args:
        job: how; its output is where the rows are.
        statuses: which rows.
        on_progress: as for `run`.

    Raises:
        ValueError: if rows were asked of another encoder than the job's.
        StorageError: if there are no results.
        RunBroken: as `run` does, and whatever else it raises.
    """
    table = rows_of(job.output, statuses)
    encoder = load_encoder(job.weights)
    others = {row["encoder"] for row in table.to_pylist() if row["encoder_sha256"] not in (None, encoder.sha256)}
    if others:
        raise ValueError(
            f"rows in {job.output} were asked of other weights ({', '.join(sorted(map(str, others)))}) than "
            f"{encoder.name}: give them with --weights"
        )
    source = {"retry": sorted(statuses)}
    encoding = summary.encoding_of(job.output)
    job = dataclasses.replace(job, release="quarantined" in statuses, source=source, encoding=encoding)
    return run_rows([_row(asked) for asked in table.to_pylist()], job, on_progress=on_progress)


def _row(asked: dict[str, object]) -> Row:
    params = StyleParams.of(json.loads(str(asked["params"])))
    pictures: dict[str, Any] = {role: asked[role] for role in PICTURE_COLUMNS}
    return Row(
        **pictures,
        id=str(asked["id"]),
        output=name_of(asked),
        params=params,
        file=str(asked["manifest"] or ""),
        number=int(str(asked["manifest_row"] or 0)),
    )
