"""What a report says, read from a run: figures, what varies, pictures with their small copies, data in parts."""

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
from pipeline.report.pictures import outcomes, sources
from pipeline.report.thumbs import Shelf


@dataclass(frozen=True)
class Gathered:
    """What a report says.

    Attributes:
        figures: of the run.
        settings: that all rows share.
        dimensions: in which rows differ.
        late: pictures for whose small copies there was no time.
        parts: data by kind, each in as many files as it has elements; made when they are asked for, since the curves of
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
    """Read a run, and make the small copies of its pictures that are not there yet.

    Args:
        output: the folder given to the run.
        shelf: where small copies are.
        page: the folder of the page.
        comparison: of this run with an older one.
        seconds: after which no more small copies are begun.

    Raises:
        StorageError: if there are no results, they cannot be read, or copies cannot be written.
    """
    table, said = read(output)
    settings, dimensions = split(table)
    shown, numbers = sources(table, shelf, page=page, output=output)
    asked = table.select(["output", "output_name", "fingerprint", "finished_at"]).to_pylist()
    pictures = outcomes(asked, shelf, page=page, output=output)
    compared = changes.pictures(comparison, shelf, page=page) if comparison else ()

    there, late = shelf.make(seconds=seconds)
    for kept in (shown, pictures, *compared):
        kept.keep(there)

    found = figures(table, said)
    failed = table.filter(pc.not_equal(table["status"], "ok"))
    parts: Mapping[str, Iterable[object]] = {
        "rows": rows.row_files(table, numbers=numbers, pictures=pictures, dimensions=dimensions, reasons=found.reasons),
        "sources": rows.source_files(shown, links.names(shown.uris)),
        "errors": rows.error_files(failed),
        "lines": rows.line_files(failed),
        "curves": curves.curve_files(table),
        "sketches": curves.sketch_files(table),
        "changes": changes.change_files(comparison, *compared) if comparison else (),
    }
    return Gathered(found, settings, dimensions, late, parts)


def read(output: str) -> tuple[pa.Table, Mapping[str, Any]]:
    """Results in the order of the page, and the summary of the last run; no rows where a run came to none.

    Raises:
        StorageError: if there are neither results nor a summary, or they cannot be read.
    """
    said = summary.read(output)
    try:
        return read_results(output), said
    except storage.StorageError:
        if said and not parts(output):
            return SCHEMA.empty_table(), said
        raise
