"""The settings that all rows share, and the dimensions in which they differ: by these the page filters and sorts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from nst_kernel import PARAMETERS, StyleParams
from pipeline.outputs import query

COLUMNS = {"encoder": "encoder", "device": "device", "precision": "computed in"}
"""Columns of the results that tell rows apart as parameters do, and what the page calls them."""


@dataclass(frozen=True)
class Dimension:
    """Something that varies between rows.

    Attributes:
        name: of the parameter, or what the page calls a column.
        values: distinct, in order: numbers, or else texts.
        codes: for each row the index of its value; -1 where it has none.
    """

    name: str
    values: Sequence[float | str]
    codes: Sequence[int]

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers."""
        return all(not isinstance(value, str) for value in self.values)


@dataclass(frozen=True)
class Setting:
    """A parameter that all rows share.

    Attributes:
        name: of the parameter.
        value: as text.
        description: what the parameter does, in words.
        usual: whether that is the default.
    """

    name: str
    value: str
    description: str
    usual: bool


def split(table: pa.Table) -> tuple[list[Setting], list[Dimension]]:
    """Return the settings that all rows share, and the dimensions in which they differ.

    Args:
        table: results with the columns `params` and those of `COLUMNS`.
    """
    rows = _params(table)
    usual = StyleParams.of({}).all_values()
    settings, dimensions = [], []
    for name in dict.fromkeys(name for row in {id(row): row for row in rows}.values() for name in row):
        column = [_plain(row.get(name)) for row in rows]
        if len(set(column)) > 1:
            dimensions.append(dimension(name, column))
        else:
            value = _text(column[0])
            meaning = PARAMETERS[name].described if name in PARAMETERS else ""
            settings.append(Setting(name, value, meaning, value == _text(_plain(usual.get(name)))))
    for name, title in COLUMNS.items():
        column = table[name].to_pylist()
        if len({value for value in column if value is not None}) > 1:
            dimensions.append(dimension(title, column))
    return sorted(
        settings, key=lambda s: (s.usual, list(PARAMETERS).index(s.name) if s.name in PARAMETERS else 0)
    ), dimensions


def dimension(name: str, column: Sequence[float | str | None]) -> Dimension:
    """Return a column of values as a dimension: in order of numbers if all are numbers, else of texts."""
    present = {value for value in column if value is not None}
    if all(not isinstance(value, str) for value in present):
        values: list[float | str] = sorted(present, key=lambda value: (float(value), str(value)))
        codes = {value: code for code, value in enumerate(values)}
        return Dimension(name, values, [-1 if value is None else codes[value] for value in column])
    values = sorted({_text(value) for value in present})
    codes = {value: code for code, value in enumerate(values)}
    return Dimension(name, values, [-1 if value is None else codes[_text(value)] for value in column])


def in_words(value: Any) -> str:
    """Return a value of a setting in words; a dash for none."""
    return _text(_plain(value)) or "–"


def _params(table: pa.Table) -> list[Mapping[str, Any]]:
    """Return the parameters of each row; rows with equal ones share one object, as most of a run do."""
    known: dict[str | None, Mapping[str, Any]] = {None: {}}
    texts = table["params"].to_pylist()
    for text in set(texts):
        known.setdefault(text, query.parameters_of(text or ""))
    return [known[text] for text in texts]


def _plain(value: Any) -> float | str | None:
    """Return a value as a number, a text or None: anything else becomes text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(_text(_plain(part)) for part in value)
    return value if isinstance(value, int | float) else json.dumps(value)


def _text(value: float | str | None) -> str:
    """Return a value as text; empty for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
