"""The data of a report, read from a run: figures, settings, dimensions, pictures and their small copies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.comparison import Comparison
from pipeline.outputs import SCHEMA, parts, read_results, summary
from pipeline.report import changes, curves, links, rows
from pipeline.report.dimensions import Dimension, Setting, split
from pipeline.report.figures import Figures, figures
from pipeline.report.pictures import Pictures, outcomes, sources, with_warnings
from pipeline.report.thumbs import Shelf

OUTCOME_COLUMNS = ("output", "output_name", "fingerprint", "finished_at", "frames", "animation")
"""Columns of results that tell where the pictures of rows are."""


@dataclass(frozen=True)
class Gathered:
    """The data of a report.

    Attributes:
        figures: of the run.
        settings: that all rows share.
        dimensions: in which rows differ.
        late: pictures whose small copies were not made for lack of time.
        parts: data by kind, each in as many files as it has elements; made when they are read, since the curves of
            many rows are large.
    """

    figures: Figures
    settings: Sequence[Setting]
    dimensions: Sequence[Dimension]
    late: int
    parts: Mapping[str, Iterable[object]]


def gather(
    output: str, shelf: Shelf, *, page: str, comparison: Comparison | None = None, seconds: float | None = None
) -> Gathered:
    """Return the data of a report, and make the small copies of pictures that are not there yet.

    Args:
        output: the folder given to the run.
        shelf: where small copies are.
        page: the folder of the page.
        comparison: of this run with an older one.
        seconds: after which no more small copies are begun; None: any number.

    Raises:
        StorageError: if there are no results, they cannot be read, or copies cannot be written.
    """
    table, last = read(output)
    table = with_warnings(table, output)
    limits = summary.decoding_of(last)
    settings, dimensions = split(table)
    shown, numbers = sources(table, shelf, page=page, output=output)
    pictures = outcomes(table.select(OUTCOME_COLUMNS).to_pylist(), shelf, page=page, output=output)
    compared = changes.pictures(comparison, shelf, page=page) if comparison else ()

    there, late = shelf.make(seconds=seconds, limits=limits)
    for kept in (shown, pictures, *compared):
        kept.keep(there)

    run_figures = figures(table, last)
    failed = table.filter(pc.not_equal(table["status"], "ok"))
    parts: Mapping[str, Iterable[object]] = {
        "rows": rows.row_files(
            table,
            numbers=numbers,
            pictures=pictures,
            dimensions=dimensions,
            reasons=run_figures.reasons,
            warnings=list(run_figures.warnings),
        ),
        "sources": rows.source_files(shown, _names(shown)),
        "errors": rows.error_files(failed),
        "lines": rows.line_files(failed),
        "curves": curves.curve_files(table),
        "sketches": curves.sketch_files(table),
        "changes": changes.change_files(comparison, *compared) if comparison else (),
    }
    return Gathered(run_figures, settings, dimensions, late, parts)


def _names(sources: Pictures) -> list[str]:
    """Return names for the pictures that rows read; that of several is made of theirs."""
    single = [uri for uri, parts in zip(sources.uris, sources.parts, strict=True) if not parts]
    names = links.names(single)
    return [*names, *(" + ".join(names[part] for part in parts) for parts in sources.parts if parts)]


def read(output: str) -> tuple[pa.Table, Mapping[str, Any]]:
    """Return the results in the order of the page and the summary of the last run; no rows where a run had none.

    Raises:
        StorageError: if there are neither results nor a summary, or they cannot be read.
    """
    last = summary.read(output)
    try:
        return read_results(output), last
    except storage.StorageError:
        if last and not parts(output):
            return SCHEMA.empty_table(), last
        raise
