"""The report of a run: read, gathered, written; the page itself last."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline import results, storage, summary
from pipeline.compare import Comparison
from pipeline.report import curves, links, night, rows
from pipeline.report import figures as runs
from pipeline.report.dimensions import split, told
from pipeline.report.files import Files
from pipeline.report.sources import outcomes, sources
from pipeline.report.thumbs import Shelf

log = logging.getLogger(__name__)


def write_report(
    output: str,
    *,
    to: str | None = None,
    hourly_price: float | None = None,
    comparison: Comparison | None = None,
    thumbnail_seconds: float | None = None,
) -> str:
    """Make the report of a run: a folder that opens from disk or object storage.

    Data and code are written under new names, then `index.html`, which names them, then those of the last report are
    deleted: whoever opens the page meanwhile sees one report or the other, and no cache mixes them.

    Args:
        output: the folder given to the run.
        to: the folder of the report; by default `report/` below the output, from where pictures have short links.
        hourly_price: dollars for an hour of one device.
        comparison: of this run with an older one, to be shown as well.
        thumbnail_seconds: after which no more thumbnails are begun; the page then shows pictures themselves.

    Returns:
        The URI of index.html.

    Raises:
        StorageError: if there are no results, they cannot be read, or the report cannot be written.
    """
    output = storage.absolute(output)
    page = storage.absolute(to) if to else storage.join(output, "report")
    table, said = read(output)
    shelf = Shelf(storage.join(page, "thumbs"))
    figures = runs.figures(table, said)
    settings, dimensions = split(table)
    shown, numbers = sources(table, shelf, page=page, output=output)
    pictures = outcomes(
        table.select(["output", "output_name", "fingerprint", "finished_at"]).to_pylist(),
        shelf,
        page=page,
        output=output,
    )
    nights = night.pictures(comparison, shelf, page=page) if comparison else ()
    there, late = shelf.make(seconds=thumbnail_seconds)
    if late:
        log.warning("no time for %d thumbnails: `nst report %s` makes them", late, output)
    for kept in (shown, pictures, *nights):
        kept.keep(there)

    failed = table.filter(pc.not_equal(table["status"], "ok"))
    parts: Mapping[str, Iterable[object]] = {
        "rows": rows.row_files(
            table, numbers=numbers, pictures=pictures, dimensions=dimensions, reasons=figures.reasons
        ),
        "sources": rows.source_files(shown, links.names(shown.uris)),
        "errors": rows.error_files(failed),
        "lines": rows.line_files(failed),
        "curves": curves.curve_files(table),
        "sketches": curves.sketch_files(table),
        "changes": night.change_files(comparison, *nights) if comparison else (),
    }
    files = Files(page)
    counts = {kind: files.write_data(kind, payloads) for kind, payloads in parts.items()}
    index = {
        "stamp": files.stamp,
        "plotly": files.write_plotly(),
        "files": counts,
        "statuses": list(results.STATUSES),
        "reasons": [reason.name for reason in figures.reasons],
        "dimensions": [{"name": d.name, "values": d.values, "numeric": d.numeric} for d in dimensions],
        "settings": [[setting.name, setting.value] for setting in settings],
        "perFile": {
            "curves": curves.ROWS_PER_FILE,
            "sketches": curves.SKETCHES_PER_FILE,
            "errors": rows.ERRORS_PER_FILE,
            "lines": rows.LINES_PER_FILE,
        },
        "late": late,
    }
    files.write_data("index", [index])
    code, styles = files.write_code()
    text = (
        _environment()
        .get_template("index.html")
        .render(
            name="/".join(output.rstrip("/").split("/")[-2:]),
            output=output,
            now=files.made_at,
            figures=figures,
            settings=settings,
            dimensions=dimensions,
            price=hourly_price,
            comparison=comparison,
            max_changes=night.MAX_CHANGES,
            label=night.label,
            late=late,
            styles=styles,
            scripts=[
                *code,
                files.data_name("index", 0),
                *(files.data_name(kind, k) for kind in ("sources", "rows") for k in range(counts[kind])),
            ],
        )
    )
    home = storage.join(page, "index.html")
    storage.write_bytes(home, text.encode())
    files.tidy()
    shelf.tidy()
    return home


def read(output: str) -> tuple[pa.Table, Mapping[str, Any]]:
    """Results in the order of the page, and the summary of the last run; no rows where a run came to none.

    Raises:
        StorageError: if there are neither results nor a summary, or they cannot be read.
    """
    said = summary.read(output)
    try:
        return results.read_results(output), said
    except storage.StorageError:
        if said and not results.parts(output):
            return results.SCHEMA.empty_table(), said
        raise


def _environment() -> Environment:
    """Templates that escape whatever they are given."""
    found = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"moment": _moment, "duration": _duration, "told": told}
    return found


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _duration(seconds: float) -> str:
    """`48 s`, `12 min` or `3 h 04 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min"
