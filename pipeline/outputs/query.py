"""The filter over results: rows by values of parameters and columns, or by a text that a column contains."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nst_kernel.params import ALIASES, PARAMETERS, Problem, as_text, did_you_mean, later_defaults, with_nearest
from pipeline.manifest import PICTURE_COLUMNS, each_of
from pipeline.outputs.locate import run_of
from pipeline.outputs.schema import SCHEMA, STATUSES
from pipeline.outputs.table import read_results

SHOWN = ("id", "status", *PICTURE_COLUMNS, "output", "total_loss", "error", "warning")
"""Columns that fit a terminal; `warning` is left out where no row has one."""

Condition = Callable[[pa.Table], Sequence[bool]]
"""Tells of each row of a table of results whether it is wanted."""


def having(name: str, wanted: Any) -> Condition:
    """Return the condition that a parameter or column of a row has the wanted value.

    Args:
        name: of a parameter, or else of a column.
        wanted: the value; or a list, tuple or set of values that is no parameter's value by itself, of which a row
            has to have one. A picture is wanted by its URI or by its file's name; of several styles, any of them.

    Raises:
        ValueError: for an unknown name, or a value that a parameter or the status cannot have.
    """
    name = ALIASES.get(name, name)
    accepted = _accepted(name, wanted)
    if name in PARAMETERS:
        return lambda table: [
            _hashable(parameters_of(text).get(name)) in accepted for text in table["params"].to_pylist()
        ]
    if name in PICTURE_COLUMNS:
        return lambda table: [
            uris in accepted
            or any(uri in accepted or uri.rpartition("/")[2] in accepted for uri in each_of(name, uris))
            for uris in table[name].to_pylist()
        ]
    return lambda table: [value in accepted for value in table[name].to_pylist()]


def containing(column: str, text: str) -> Condition:
    """Return the condition that a column, as text, contains the given text, ignoring case.

    Raises:
        ValueError: for a column that there is not.
    """
    name = _known(column, SCHEMA.names)

    def contains(table: pa.Table) -> Sequence[bool]:
        values = [None if value is None else str(value) for value in table[name].to_pylist()]
        wanted = pc.match_substring(pa.array(values, pa.string()), text, ignore_case=True)
        return [bool(each) for each in wanted.to_pylist()]

    return contains


def matching(table: pa.Table, conditions: Iterable[Condition]) -> pa.Table:
    """Return the rows of a table of results that meet every condition."""
    for condition in conditions:
        table = table.filter(pa.array(condition(table), pa.bool_()))
    return table


def select(
    output: str,
    *,
    status: str | None = None,
    where: Sequence[str] = (),
    sort: str = "id",
    columns: str | None = None,
    limit: int = 0,
) -> pa.Table:
    """Return the results of a run, filtered and sorted by options as given on a command line.

    Args:
        output: of a run, or a grid's folder, as `run_of` takes it.
        status: only rows of this status.
        where: `COLUMN=TEXT`: only rows whose column, as text, contains the text in any case; `PARAMETER=VALUE`: only
            those with the value; `run=last` or
            `run=2`: only those that this run computed.
        sort: a column; a leading `-` reverses.
        columns: comma-separated; by default `SHOWN`.
        limit: rows at most; 0 for all.

    Raises:
        ValueError: for a column or status that there is not.
        StorageError: if there are no results.
    """
    wanted = [_known(name.strip()) for name in columns.split(",")] if columns else []
    descending, key = sort.startswith("-"), _known(sort.removeprefix("-"))
    table = _with_parameters(read_results(run_of(output)), [*wanted, key])
    if status and status not in STATUSES:
        raise ValueError(f"--status {status}: expected {_a_status(status)}")
    conditions = [having("status", status)] if status else []
    table = matching(table, [*conditions, *(_parsed(condition, table) for condition in where)])
    table = table.sort_by([(key, "descending" if descending else "ascending")])
    table = table.slice(0, limit) if limit else table
    if not wanted:
        wanted = list(SHOWN if table["warning"].null_count < len(table) else SHOWN[:-1])
    return table.select(wanted)


@lru_cache(maxsize=1024)  # each takes ten kilobytes, and where every row has its own, more help nobody
def parameters_of(text: str) -> Mapping[str, Any]:
    """Return style parameters by name, from the JSON that the column `params` has; none where there is none.

    A parameter that was declared later than the JSON was written has its default.
    """
    params: Mapping[str, Any] = json.loads(text) if text else {}
    return {**later_defaults(), **params} if params else {}


def _parsed(condition: str, table: pa.Table) -> Condition:
    """Parse `COLUMN=TEXT` into the condition that a column contains the text, or `PARAMETER=VALUE` that it is that.

    `run=last` is the condition that the last run into the output computed a row, `run=2` that the second did.
    """
    name, equals, text = condition.partition("=")
    if not equals:
        raise ValueError(f"--where {condition}: expected COLUMN=TEXT, such as style=starry, or size=512")
    name = name.strip()
    if name == "run":
        return _of_run(table, text)
    if name == "status" and not any(text.strip().lower() in status for status in STATUSES):
        raise ValueError(f"--where {condition}: expected {_a_status(text)}")
    own = ALIASES.get(name, name)
    return having(own, text) if own in PARAMETERS and own not in SCHEMA.names else containing(name, text)


def _of_run(table: pa.Table, text: str) -> Condition:
    """Return the condition that a run computed a row: that of a number, or the last one of a table of results."""
    number = max((run for run in table["run"].to_pylist() if run is not None), default=0)
    if text != "last":
        if not text.isdecimal():
            raise ValueError(f"--run {text}: expected last, or the number of a run, of which there are {number:,}")
        number = int(text)
    return lambda table: [run == number for run in table["run"].to_pylist()]


def _with_parameters(table: pa.Table, names: Iterable[str]) -> pa.Table:
    """Return a table with a column for each of the names that is a parameter's."""
    for name in dict.fromkeys(names):
        if name not in table.column_names:
            values = [parameters_of(text).get(name) for text in table["params"].to_pylist()]
            if not all(value is None or type(value) in (int, float, bool) for value in values):
                values = [None if value is None else as_text(value) for value in values]
            table = table.append_column(name, pa.array(values))
    return table


def _known(name: str, names: Sequence[str] = (*SCHEMA.names, *PARAMETERS)) -> str:
    """Return the name of a column or parameter, or raise with the one that was probably meant."""
    name = name if name in names else ALIASES.get(name, name)
    if name not in names:
        close = did_you_mean(name, names)
        hint = f"a known one; {close}" if close else f"one of {', '.join(names)}"
        raise ValueError(f"column {name!r}: expected {hint}")
    return name


def _accepted(name: str, value: Any) -> list[Any]:
    """Return the values of a parameter or column that a row may have."""
    several = list(value) if isinstance(value, list | tuple | set) else [value]
    if name in PARAMETERS:
        one = PARAMETERS[name].parse(value)
        if not isinstance(one, Problem):
            return [one]
        parsed = [PARAMETERS[name].parse(each) for each in several]
        if problems := [each for each in parsed if isinstance(each, Problem)]:
            raise ValueError("; ".join(map(str, problems)))
        return parsed
    if name not in SCHEMA.names:
        raise ValueError(f"{name}: expected a parameter ({', '.join(PARAMETERS)}) or a column of the results")
    if name == "status" and (unknown := [each for each in several if each not in STATUSES]):
        raise ValueError(f"status {', '.join(map(repr, unknown))}: expected {_a_status(unknown)}")
    return several


def _a_status(written: object) -> str:
    """Return what was expected in the place of an unknown status."""
    return with_nearest(f"one of {', '.join(STATUSES)}", written, STATUSES)


def _hashable(value: Any) -> Any:
    """Return a value as a parameter has it: a tuple for JSON's list."""
    return tuple(value) if isinstance(value, list) else value
