"""Rows of a results table, as a person asks for them."""

import difflib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.outputs import SCHEMA, STATUSES, read_results, run_of

SHOWN = ("id", "status", "content", "style", "output", "total_loss", "error")


def select(
    output: str,
    *,
    status: str | None = None,
    where: Sequence[str] = (),
    sort: str = "id",
    columns: str | None = None,
    limit: int = 0,
) -> pa.Table:
    """Results of a run, filtered and sorted.

    Args:
        output: of a run, or a grid's folder, as `run_of` takes it.
        status: only rows of this status.
        where: `COLUMN=TEXT`: only rows whose column, as text, contains the text (in any case).
        sort: a column; a leading `-` reverses.
        columns: comma-separated; by default those that fit a terminal.
        limit: rows at most; 0 for all.

    Raises:
        ValueError: for a column that there is not.
        StorageError: if there are no results.
    """
    wanted = [_known(name.strip()) for name in columns.split(",")] if columns else list(SHOWN)
    descending, key = sort.startswith("-"), _known(sort.removeprefix("-"))
    table = read_results(run_of(output))
    if status:
        if status not in STATUSES:
            raise ValueError(f"--status {status}: expected one of {', '.join(STATUSES)}")
        table = table.filter(pc.equal(table["status"], status))
    for condition in where:
        name, equals, text = condition.partition("=")
        if not equals:
            raise ValueError(f"--where {condition}: expected COLUMN=TEXT, such as style=starry")
        values = [None if v is None else str(v) for v in table[_known(name.strip())].to_pylist()]
        table = table.filter(pc.match_substring(pa.array(values, pa.string()), text, ignore_case=True))
    table = table.sort_by([(key, "descending" if descending else "ascending")])
    return (table.slice(0, limit) if limit else table).select(wanted)


def _known(name: str) -> str:
    names = SCHEMA.names
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"a known one; did you mean {close[0]}?" if close else f"one of {', '.join(names)}"
        raise ValueError(f"column {name!r}: expected {hint}")
    return name
