"""The data of a report, read from a run: figures, settings, dimensions, pictures and their small copies."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import storage
from pipeline.comparison import Comparison
from pipeline.outputs import SCHEMA, STATUSES, parts, summary
from pipeline.process import garbage
from pipeline.report import changes, curves, rows, sample
from pipeline.report.columns import PageRows, Reader
from pipeline.report.dimensions import Dimension, Setting, split
from pipeline.report.figures import Figures, figures
from pipeline.report.pictures import copies, sources
from pipeline.report.thumbs import Shelf

CURVE = SCHEMA.field("curve").type
"""The type of a row's curves."""

FACETS = 300
"""Contents or styles among which the page lets choose where it does not begin with all rows."""


@dataclass(frozen=True)
class Gathered:
    """The data of a report.

    Attributes:
        figures: of the run.
        settings: that all rows share.
        dimensions: in which rows differ.
        late: pictures whose small copies were not made for lack of time.
        index: what the page knows of all rows together.
        parts: data by kind, each in as many files as it has elements; made when they are read, since the curves of
            many rows are large.
    """

    figures: Figures
    settings: Sequence[Setting]
    dimensions: Sequence[Dimension]
    late: int
    index: Mapping[str, Any]
    parts: Mapping[str, Iterable[object]]

    def first(self, files: Mapping[str, int]) -> Mapping[str, int]:
        """Return how many files of each kind the page begins with, of those that there are."""
        if self.index["begins"] == self.index["rows"]:
            return {kind: files[kind] for kind in ("sources", "rows")}
        return {"rows": math.ceil(self.index["begins"] / self.index["perFile"]["rows"])}


def gather(output: str, shelf: Shelf, *, page: str, comparison: Comparison | None = None) -> Gathered:
    """Return the data of a report, and make the small copies of pictures that are not there yet.

    Args:
        output: the folder given to the run.
        shelf: where small copies are.
        page: the folder of the page.
        comparison: of this run with an older one.

    Raises:
        StorageError: if there are no results, they cannot be read, or copies cannot be written.
    """
    last = summary.read(output)
    page_rows = read(output, page, finished=bool(last))
    begins, opened = sample.sample_first(page_rows)
    settings, dimensions = split(page_rows.parameters.items(), page_rows.columns)
    run_figures = figures(page_rows, last)
    drawn = sample.curves(output, page_rows, begins, opened) if len(page_rows) else pa.chunked_array([], CURVE)
    page_rows.keep(rows.COLUMNS)

    shelf.begin(summary.decoding_of(last))
    shown, own = sources(page_rows.columns, shelf), copies(page_rows.columns, output)
    compared = changes.pictures(comparison, page=page) if comparison else ()
    shelf.make([shown.copies, own, *(side.copies for side in compared)])

    data = rows.Data(page_rows, shown, own, dimensions, list(run_figures.warnings), begins, page, output)
    garbage.give_back()
    failed = page_rows.failed
    made: Mapping[str, Iterable[object]] = {
        "rows": rows.row_files(data),
        "found": rows.search_files(data),
        "sources": rows.source_files(data),
        "names": rows.name_files(data),
        "errors": rows.error_files(failed),
        "lines": rows.line_files(failed),
        "curves": curves.curve_files(drawn),
        "sketches": curves.sketch_files(drawn),
        "changes": changes.change_files(comparison, *compared) if comparison else (),
    }
    return Gathered(run_figures, settings, dimensions, shelf.late, _index(data, run_figures), made)


def read(output: str, page: str, *, finished: bool) -> PageRows:
    """Return the rows of a page, ordered by id; none where a run had none.

    Args:
        output: the folder given to the run.
        page: the folder of the page.
        finished: whether a run has left its summary.

    Raises:
        StorageError: if there are neither results nor a summary, or they cannot be read.
    """
    reader = Reader(output, page)
    try:
        return reader.read()
    except storage.StorageError:
        if finished and not parts(output):
            return reader.joined({"": reader.reduced("", SCHEMA.empty_table())})
        raise


def _index(data: rows.Data, run_figures: Figures) -> Mapping[str, Any]:
    """Return what the page knows of all rows together."""
    return {
        "rows": len(data.rows),
        "begins": data.begins,
        "statuses": list(STATUSES),
        "counts": list(run_figures.counts.values()),
        "reasons": [reason.name for reason in run_figures.reasons],
        "failures": [reason.rows for reason in run_figures.reasons],
        "written": len(data.rows.failed),
        "warnings": list(data.warnings),
        "dimensions": [
            {
                "name": dimension.name,
                "values": dimension.values.to_pylist() if data.known(dimension) else [],
                "distinct": len(dimension.values),
                "numeric": dimension.numeric,
            }
            for dimension in data.dimensions
        ],
        "facets": {role: _facet(data, role) for role in ("content", "style")},
        "perFile": {
            "rows": data.per_file,
            "sources": data.per_file,
            "found": rows.FOUND_PER_FILE,
            "names": rows.FOUND_PER_FILE,
            "curves": curves.ROWS_PER_FILE,
            "sketches": curves.SKETCHES_PER_FILE,
            "errors": rows.ERRORS_PER_FILE,
            "lines": rows.LINES_PER_FILE,
        },
    }


def _facet(data: rows.Data, role: str) -> list[tuple[int, str]] | None:
    """Return the number and name of every picture that rows have in a role; None: the page knows, or they are many."""
    numbers = np.unique(data.sources.numbers[role])
    if data.begins == len(data.rows) or len(numbers) > FACETS:
        return None
    names = data.sources.names
    return [(int(number), names[int(number)].as_py()) for number in numbers if number >= 0]
