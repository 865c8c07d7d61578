"""`nst report`: make the page of a run's results."""

from __future__ import annotations

import contextlib
import threading
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from jobs.console import go_without_pandas, near, out
from jobs.options import ACCESS, Port, run_options, takes


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
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the page on this machine until Ctrl-C, also that of a bucket.")
    ] = False,
    port: Port = 0,
) -> None:
    """Make a page of a run's results: summary, gallery, loss curves, failures. It needs no server.

    Thumbnails that are there already are not made again.

    Example: nst report s3://bucket/night --to night-report --price 2.5 --open
    """
    go_without_pandas()
    from pipeline.outputs import run_of
    from pipeline.report import Served, write_report

    if serve and to:
        raise ValueError("--serve: expected without --to: it serves the page in the output, beside its pictures")
    run = run_of(output)
    page = write_report(run, to=to, hourly_price=price)
    out.print(f"Report:   {escape(near(page))}", highlight=False, soft_wrap=True)
    if open_it and not serve:
        webbrowser.open(page if "://" in page else Path(page).as_uri())
    if serve:
        with Served(lambda: run, port=port) as served:
            out.print(f"Served:   {served.address} until Ctrl-C", highlight=False, soft_wrap=True)
            if open_it:
                webbrowser.open(served.address)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
