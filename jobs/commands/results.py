"""`nst results`: what became of each row."""

from typing import Annotated, Any

import typer

from jobs import completion
from jobs.console import go_without_pandas, out
from jobs.options import ACCESS, run_options, takes
from pipeline.words import counted

Output = Annotated[
    str, typer.Argument(help="Output of a run; or a grid's, for its latest run; or that with @previous behind it.")
]
Status = Annotated[
    str | None,
    typer.Option(metavar="ok|failed|diverged|quarantined", help="Only these rows.", autocompletion=completion.statuses),
]
Where = Annotated[
    list[str],
    typer.Option(
        metavar="COLUMN=TEXT",
        help="Only rows whose column contains the text, or whose style parameter has the value; repeatable.",
    ),
]
Run = Annotated[
    str | None,
    typer.Option(metavar="last|N", help="Only rows that the last run computed, or the run of this number."),
]
Sort = Annotated[
    str,
    typer.Option(help="Order by this column or parameter; a leading - reverses.", autocompletion=completion.columns),
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="Comma-separated: columns of results, and style parameters; the README lists them.",
        autocompletion=completion.columns,
    ),
]
Limit = Annotated[int | None, typer.Option(min=0, help="Rows at most; 0: all. By default 50, and all into a manifest.")]
Whole = Annotated[
    bool, typer.Option("--whole", help="Show ids, paths and errors in full, however wide the table gets.")
]


@takes(run_options(only=ACCESS))
def results(
    ctx: typer.Context,
    output: Output,
    given: dict[str, Any],
    status: Status = None,
    where: Where = [],
    run: Run = None,
    sort: Sort = "id",
    columns: Columns = None,
    limit: Limit = None,
    whole: Whole = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines instead of a table.")] = False,
    as_manifest: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write these rows as a manifest, JSON Lines, instead.")
    ] = None,
) -> None:
    """Show what became of each row.

    Example: nst results out --where style=starry --sort -total_loss --columns id,total_loss,style_weight,seconds
    """
    from jobs.console import RESULT_SOURCES, print_results

    go_without_pandas()
    from pipeline import outputs, storage

    useful = not (columns or as_json or as_manifest)
    shown = limit or 0 if as_manifest or limit is not None else 50
    if as_manifest or useful:
        columns = ",".join(outputs.REQUEST_COLUMNS if as_manifest else RESULT_SOURCES)
    conditions = [*where, *([f"run={run}"] if run else [])]
    table = outputs.query.select(output, status=status, where=conditions, sort=sort, columns=columns, limit=shown)
    if as_manifest:
        storage.write_bytes(storage.absolute(as_manifest), outputs.as_manifest(table).encode())
        out.print(f"{counted(len(table), 'row')}: {as_manifest}", markup=False, highlight=False, soft_wrap=True)
    else:
        print_results(out, table, useful=useful, as_json=as_json, whole=whole)
