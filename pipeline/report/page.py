"""The writing of a report: its data, its code, and last the page that names them."""

import functools
import logging
import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline import storage
from pipeline.comparison import Comparison
from pipeline.outputs import layout
from pipeline.report import changes
from pipeline.report.bundle import Files, styles
from pipeline.report.data import Gathered, gather
from pipeline.report.dimensions import in_words
from pipeline.report.thumbs import Shelf
from pipeline.words import counted

log = logging.getLogger(__name__)


def write_report(
    output: str,
    *,
    to: str | None = None,
    hourly_price: float | None = None,
    comparison: Comparison | None = None,
    thumbnail_seconds: float | None = None,
    keep_last: bool = False,
) -> str:
    """Write the report of a run: a folder that opens from disk or object storage.

    Data and code are written under new names, then `index.html`, which names them, then those of earlier reports are
    deleted: a page that is opened meanwhile is one report or the other, and no cache mixes them.

    Args:
        output: the folder given to the run.
        to: the folder of the report; by default `report/` below the output, from where links to pictures are short.
        hourly_price: dollars for an hour of one device.
        comparison: of this run with an older one, to be shown as well.
        thumbnail_seconds: after which no more thumbnails are begun; the page then shows pictures themselves.
        keep_last: whether the files of the last report stay until the next one is there, for browsers that are loading
            its page just now.

    Returns:
        The URI of index.html.

    Raises:
        StorageError: if there are no results, they cannot be read, or the report cannot be written.
    """
    output = storage.absolute(output)
    page = storage.absolute(to) if to else layout.report_folder(output)
    shelf, files = Shelf(storage.join(page, layout.THUMBS), seconds=thumbnail_seconds), Files(page)
    run = gather(output, shelf, page=page, comparison=comparison)
    if run.late:
        log.warning("no time for %d thumbnails: `nst report %s` makes them", run.late, output)

    counts = {kind: files.write_data(kind, payloads) for kind, payloads in run.parts.items()}
    files.write_data("index", [_index(run, files, counts, output)])
    code, last = files.write_code(), files.last()
    shown = [("index", 0), *((kind, k) for kind, files_of in run.first(counts).items() for k in range(files_of))]
    template = _environment().get_template("index.html")
    text = template.render(
        name="/".join(storage.without_secrets(output).rstrip("/").split("/")[-2:]),
        output=storage.without_secrets(output),
        now=files.made_at,
        run=run,
        figures=run.figures,
        price=hourly_price,
        comparison=comparison,
        max_changes=changes.MAX_CHANGES,
        styles=styles(),
        kept=last.page if keep_last else "",
        scripts=[*code, *(files.data_name(kind, k) for kind, k in shown)],
    )
    home = storage.join(page, layout.HOME)
    storage.write_bytes(home, text.encode())
    files.tidy({last.kept} if keep_last else {last.page, last.kept})
    shelf.tidy()
    return home


def _index(run: Gathered, files: Files, counts: Mapping[str, int], output: str) -> Mapping[str, Any]:
    """Return the data about all rows of an output together, from which the page's code starts."""
    return {
        **run.index,
        "stamp": files.stamp,
        "plotly": files.write_plotly(),
        "files": counts,
        "settings": [[setting.name, setting.value] for setting in run.settings],
        "late": run.late,
        "again": f"nst retry {shlex.quote(storage.without_secrets(output))} --failed",
    }


@functools.cache
def _environment() -> Environment:
    """Return the templates of the page, which escape every value; it compiles each of them once."""
    templates = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"moment": _moment, "duration": _duration, "in_words": in_words, "counted": counted}
    return templates


def _moment(at: datetime | None) -> str:
    """Return a date and time as text; empty for None."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _duration(seconds: float) -> str:
    """Return seconds in words: `48 s`, `12 min` or `3 h 04 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min"
