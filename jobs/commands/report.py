"""`nst report`: the page of a run; and the same at a run's end."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from jobs.console import near, out
from jobs.options import ACCESS, run_options, takes


@takes(run_options(only=ACCESS))
def report(
    ctx: typer.Context,
    output: Annotated[
        str, typer.Argument(metavar="URI", help="The folder given to `nst run`, or a grid's, for its latest run.")
    ],
    given: dict[str, Any],
    to: Annotated[str | None, typer.Option(metavar="FOLDER", help="Any URI; by default report/ in the output.")] = None,
    price: Annotated[float | None, typer.Option(min=0, help="Dollars for an hour of one device.")] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
) -> None:
    """Make a page of a run's results: summary, gallery, loss curves, failures. It needs no server.

    Thumbnails that are there already are not made again.

    Example: nst report s3://bucket/night --to night-report --price 2.5 --open
    """
    from pipeline.outputs import run_of
    from pipeline.report import write_report

    page = write_report(run_of(output), to=to, hourly_price=price)
    out.print(f"Report:   {escape(near(page))}", highlight=False, soft_wrap=True)
    if open_it:
        webbrowser.open(page if "://" in page else Path(page).as_uri())
