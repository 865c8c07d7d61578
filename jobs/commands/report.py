"""`nst report`: the page of a run; and the same at a run's end."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from jobs.console.output import out

PATIENCE = 60.0
"""Seconds after which the end of a run begins no more thumbnails: nobody waits longer for a page than for a coffee."""


def report(
    output: Annotated[
        str, typer.Argument(metavar="URI", help="The folder given to `nst run`, or a grid's, for its latest run.")
    ],
    to: Annotated[str | None, typer.Option(metavar="FOLDER", help="Any URI; by default report/ in the output.")] = None,
    price: Annotated[float | None, typer.Option(min=0, help="Dollars for an hour of one device.")] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
) -> None:
    """Make a page of a run's results: summary, gallery, loss curves, failures. It needs no server.

    Thumbnails that are there already are not made again.

    Example: nst report s3://bucket/night --to night-report --price 2.5 --open
    """
    from pipeline.grids.locate import run_of
    from pipeline.report import write_report

    page = write_report(run_of(output), to=to, hourly_price=price)
    out.print(f"Report:   {escape(page)}", highlight=False, soft_wrap=True)
    if open_it:
        webbrowser.open(page if "://" in page else Path(page).as_uri())


def report_at_end(output: str, *, hourly_price: float | None, out: Console, err: Console) -> None:
    """Make the page of a run that has just ended; if it cannot be made, say so, and the run is none the worse."""
    from pipeline.report import write_report

    try:
        page = write_report(output, hourly_price=hourly_price, thumbnail_seconds=PATIENCE)
    except Exception as error:  # whatever it is: the results are there
        said = escape(" ".join(f"{type(error).__name__}: {error}".split())[:500])
        again = f"nst report {escape(output)}"
        err.print(f"[yellow]Warning:[/yellow] no report: {said}. Again: {again}", highlight=False, soft_wrap=True)
        return
    out.print(f"Report:   {escape(page)}", highlight=False, soft_wrap=True)
