"""Rows of the results as work again: for `nst retry`, and as a manifest."""

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.encoder import outline_of
from pipeline.flow.estimate import Estimate, estimate_rows
from pipeline.flow.run import run_rows
from pipeline.manifest import PICTURE_COLUMNS, ManifestError, Row, RowProblem, bad_output, shown
from pipeline.options import RunOptions, under_access
from pipeline.outputs import REQUEST_COLUMNS, Progress, layout, name_of, read_results, summary


def rows_of(output: str, statuses: Collection[str]) -> pa.Table:
    """Return the rows of the results that have one of these statuses, with what was requested for them.

    Raises:
        StorageError: if there are no results, or they cannot be read.
    """
    table = read_results(storage.absolute(output), columns=[*REQUEST_COLUMNS, "status"])
    return table.filter(pc.is_in(table["status"], pa.array(list(statuses), pa.string())))


@under_access
def retry(
    statuses: Collection[str], options: RunOptions, *, on_progress: Callable[[Progress], None] | None = None
) -> Progress:
    """Compute rows again that have one of these statuses, as the results say that they were asked.

    Of a quarantined row all deaths are forgotten: it has as many attempts as a new one. Pictures are written as the
    last run wrote them.

    Args:
        statuses: which rows.
        options: how; their output is where the rows are.
        on_progress: as for `run`.

    Raises:
        ValueError: if rows were asked of another encoder than that of the options.
        ManifestError: if results name pictures outside of images/; nothing was started.
        StorageError: if there are no results.
        RunBroken: as `run` does, and whatever else it raises.
    """
    rows, options = _requested(statuses, options)
    return run_rows(rows, options, on_progress=on_progress)


@under_access
def estimate_retry(statuses: Collection[str], options: RunOptions, *, rate: float | None = None) -> Estimate:
    """Return what `retry` would come to. Nothing is started and nothing written.

    Args:
        statuses: which rows.
        options: as for `retry`, which raises the same errors.
        rate: as for `estimate`.
    """
    rows, options = _requested(statuses, options)
    return estimate_rows(rows, options, rate=rate)


def _requested(statuses: Collection[str], options: RunOptions) -> tuple[list[Row], RunOptions]:
    """Return the rows of an output that have one of these statuses, and the options with which they are computed again.

    Raises:
        ValueError: if rows were asked of another encoder than that of the options.
        ManifestError: if results name pictures outside of images/.
        StorageError: if there are no results.
    """
    table = rows_of(options.output, statuses)
    encoder = outline_of(options.weights)
    others = {row["encoder"] for row in table.to_pylist() if row["encoder_sha256"] not in (None, encoder.sha256)}
    if others:
        raise ValueError(
            f"rows in {options.output} were asked of other weights ({', '.join(sorted(map(str, others)))}) than "
            f"{encoder.name}: give them with --weights"
        )
    rows = [_row(asked) for asked in table.to_pylist()]
    _check_names(rows, options.output)
    source = {"retry": sorted(statuses)}
    encoding = summary.encoding_of(options.output)
    update = {"release": "quarantined" in statuses, "source": source, "encoding": encoding}
    return rows, options.model_copy(update=update)


def _check_names(rows: Sequence[Row], output: str) -> None:
    """Raise ManifestError for names of pictures that no manifest could give: somebody else has written the results."""
    where = layout.results_folder(output)
    problems = [
        RowProblem(where, None, f"output_name of row {shown(row.id)}", *complaint[1:])
        for row in rows
        for complaint in bad_output(row.output)
    ]
    if problems:
        raise ManifestError(problems)


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
