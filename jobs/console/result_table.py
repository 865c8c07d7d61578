"""Results as cells of a table that fits a terminal: by the names that people gave, and the parameters that vary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Column

from pipeline.manifest import PICTURE_COLUMNS, SEVERAL, each_of, is_derived
from pipeline.outputs import file_name, pair_name, query

VARYING = 4
"""Style parameters that the table shows by itself, of those that differ between rows."""

RESULT_SOURCES = ("id", "status", *PICTURE_COLUMNS, "params", "total_loss", "seconds", "error", "warning")
"""Columns of results from which the table is made unless somebody chooses others."""

Row = Mapping[str, Any]


def chosen(rows: Sequence[Row], names: Sequence[str], *, whole: bool) -> tuple[list[Column], list[list[str]]]:
    """Return the columns and cells of a table of chosen columns; seconds have a column for each stage.

    Args:
        rows: of results, with these columns.
        names: of the columns.
        whole: whether no cell is cut or folded.
    """
    wide = [dict(_by_stage(row)) for row in rows]
    heads = list(wide[0]) if wide else list(names)
    columns = [_column(name, whole=whole) for name in heads]
    return columns, [[_cell(name, row[name], whole=whole) for name in heads] for row in wide]


def most_useful(rows: Sequence[Row], *, whole: bool) -> tuple[list[Column], list[list[str]]]:
    """Return the columns and cells of a table that tells most of rows in the width of a terminal.

    They are: ids that somebody gave, pictures by the names of their files, parameters that vary, and what became of the
    row.

    Args:
        rows: of results, with the columns `RESULT_SOURCES`.
        whole: whether no cell is cut or folded, and ids and paths are shown as they are.
    """
    params = [query.parameters_of(row["params"]) for row in rows]
    listed: dict[str, list[object]] = {}
    if whole or any(not is_derived(str(row["id"])) for row in rows):
        listed["id"] = [row["id"] for row in rows]
    for role in PICTURE_COLUMNS:
        if any(row[role] for row in rows):
            uris = [row[role] for row in rows]
            listed[role] = list(uris) if whole else list(_short_names(uris))
    for name in _varying(params)[:VARYING]:
        listed[name] = [_text(each.get(name)) for each in params]
    listed["status"] = [row["status"] for row in rows]
    listed["total_loss"] = [row["total_loss"] for row in rows]
    listed["seconds"] = [_total(row["seconds"]) for row in rows]
    columns = [_column(name, whole=whole) for name in listed]
    cells = [[_cell("", values[number], whole=whole) for values in listed.values()] for number in range(len(rows))]
    return columns, cells


def troubles(rows: Sequence[Row], *, whole: bool) -> list[tuple[str, str]]:
    """Return the errors and warnings of rows, each once, with the rows that have it.

    Args:
        rows: of results, with the columns `RESULT_SOURCES`.
        whole: whether ids stand in front of the rows' names.
    """
    rows_by_text: dict[str, list[str]] = {}
    for row in rows:
        for text in filter(None, (row["error"], row["warning"])):
            rows_by_text.setdefault(str(text), []).append(f"{row['id']}: {pair_name(row)}" if whole else pair_name(row))
    return [(_few(names), text) for text, names in rows_by_text.items()]


def _few(names: Sequence[str]) -> str:
    """Return the first three of some names, and how many more there are."""
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(dict.fromkeys(names[:3])) + more


def _column(name: str, *, whole: bool) -> Column:
    """Return a column: what is read as a sentence is folded, and numbers stay whole."""
    if name in ("error", "warning", "params", "versions"):
        return Column(name, no_wrap=whole, overflow="fold", min_width=20)
    if name in (*PICTURE_COLUMNS, "output", "id"):
        return Column(name, no_wrap=whole, overflow="fold")
    text = name in ("status", "device", "host", "precision", "encoder", "manifest")
    return Column(name, no_wrap=True, overflow="fold", justify="left" if text else "right")


def _by_stage(row: Row) -> Iterable[tuple[str, object]]:
    """Yield the values of a row by column, and the seconds of each stage in a column of their own."""
    for name, value in row.items():
        if name == "seconds":
            stages = value or {"fetch": None, "optimise": None, "write": None}
            yield from ((f"{stage} s", part) for stage, part in stages.items())
        else:
            yield name, value


def _varying(params: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of parameters that differ between rows, those with fewest values first: they tell most."""
    counts = Counter[str]()
    for name in dict.fromkeys(name for each in params for name in each):
        counts[name] = len({str(each.get(name)) for each in params})
    return [name for name, count in sorted(counts.items(), key=lambda item: item[1]) if count > 1]


def _short_names(uris: Sequence[str | None]) -> list[str]:
    """Return pictures by the names of their files, with the folder where two names would be equal."""
    parts = [each_of("style", uri) if uri else () for uri in uris]
    homes: dict[str, set[str]] = {}
    for uri in {uri for each in parts for uri in each}:
        homes.setdefault(file_name(uri), set()).add(uri)

    def short(uri: str) -> str:
        return file_name(uri) if len(homes[file_name(uri)]) == 1 else "/".join(uri.split("/")[-2:])

    return [SEVERAL.join(map(short, each)) for each in parts]


def _total(seconds: Mapping[str, float | None] | None) -> float | None:
    """Return the seconds of all stages of a row, to a tenth; None where none are known."""
    known = [part for part in (seconds or {}).values() if part is not None]
    return round(sum(known), 1) if known else None


def _text(value: object) -> object:
    """Return the value of a parameter: of a list, its parts with commas."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def _cell(column: str, value: object, *, whole: bool) -> str:
    """Return a value of a column as the text of a table's cell."""
    if value is None:
        return ""
    if column in (*PICTURE_COLUMNS, "output") and not whole:
        return SEVERAL.join("/".join(uri.split("/")[-2:]) for uri in each_of(column, str(value)))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
