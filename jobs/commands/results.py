"""`nst results`."""

from typing import Annotated, Any, Literal

import typer

from jobs import completion
from jobs.console import out
from jobs.options import ACCESS, run_options, takes


@takes(run_options(only=ACCESS))
def results(
    ctx: typer.Context,
    output: Annotated[
        str, typer.Argument(help="Output of a run; or a grid's, for its latest run; or that with @previous behind it.")
    ],
    given: dict[str, Any],
    status: Annotated[
        str | None,
        typer.Option(
            metavar="ok|failed|diverged|quarantined", help="Only these rows.", autocompletion=completion.statuses
        ),
    ] = None,
    where: Annotated[
        list[str],
        typer.Option(
            metavar="COLUMN=TEXT",
            help="Only rows whose column contains the text, or whose style parameter has the value; repeatable.",
        ),
    ] = [],
    run: Annotated[
        Literal["last"] | None, typer.Option(help="last: only rows that the last run computed, none done before it.")
    ] = None,
    sort: Annotated[
        str, typer.Option(help="Order by this column; a leading - reverses.", autocompletion=completion.columns)
    ] = "id",
    columns: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: columns of results, and style parameters; the README lists them.",
            autocompletion=completion.columns,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Rows at most; 0: all. By default 50, and all into a manifest.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines instead of a table.")] = False,
    as_manifest: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write these rows as a manifest, JSON Lines, instead.")
    ] = None,
) -> None:
    """Show what became of each row.

    Example: nst results out --where style=starry --sort -total_loss --columns id,total_loss,output
    """
    from jobs.console import print_results
    from pipeline import outputs, storage

    if as_manifest:
        columns, shown = ",".join(outputs.REQUEST_COLUMNS), limit or 0
    else:
        shown = 50 if limit is None else limit
    table = outputs.query.select(
        output, status=status, where=where, sort=sort, columns=columns, limit=shown, last_run=run is not None
    )
    if as_manifest:
        storage.write_bytes(storage.absolute(as_manifest), outputs.as_manifest(table).encode())
        out.print(f"{len(table):,} rows: {as_manifest}", markup=False, highlight=False, soft_wrap=True)
    else:
        print_results(out, table, as_json=as_json)
