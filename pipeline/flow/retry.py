"""Rows of the results as work again: for `nst retry`, and as a manifest."""

import dataclasses
import json
from collections.abc import Callable, Collection

import pyarrow as pa
import pyarrow.compute as pc

from nst_kernel import StyleParams
from pipeline.encoder import load_encoder
from pipeline.flow.run import Job, Progress, run_rows
from pipeline.manifest.ids import default_output
from pipeline.manifest.reader import Row
from pipeline.outputs import summary
from pipeline.outputs import table as result_table
from pipeline.storage import operations as storage

COLUMNS = ("id", "content", "style", "params", "output_name", "encoder", "encoder_sha256", "manifest", "manifest_row")
"""What makes a row of results work again."""


def rows_of(output: str, statuses: Collection[str]) -> pa.Table:
    """What was asked for the rows that have one of these statuses.

    Raises:
        StorageError: if there are no results, or they cannot be read.
    """
    table = result_table.read_results(storage.absolute(output), columns=[*COLUMNS, "status"])
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


def as_manifest(table: pa.Table) -> str:
    """Rows as a manifest, JSON Lines: every parameter is there, so that no default changes them."""
    lines = []
    for asked in table.to_pylist():
        row = {name: asked[name] for name in ("id", "content", "style") if asked[name]}
        row["output"] = _name(asked)
        row["params"] = json.loads(asked["params"])
        lines.append(json.dumps(row) + "\n")
    return "".join(lines)


def _row(asked: dict[str, object]) -> Row:
    params = StyleParams.of(json.loads(str(asked["params"])))
    content, style = (None if asked[name] is None else str(asked[name]) for name in ("content", "style"))
    number = int(str(asked["manifest_row"] or 0))
    return Row(str(asked["id"]), content, style, _name(asked), params, str(asked["manifest"] or ""), number)


def _name(asked: dict[str, object]) -> str:
    """Of the picture; results of older versions do not say it of failed rows."""
    return str(asked["output_name"] or default_output(str(asked["id"])))
