"""What all rows share, and what varies between them: by that a page filters, sorts and groups."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from nst_kernel import PARAMETERS, StyleParams

ASIDE = {"encoder": "encoder", "device": "device", "precision": "computed in"}
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
        meaning: in words.
        usual: whether that is the value where nothing is asked.
    """

    name: str
    value: str
    meaning: str
    usual: bool


def split(table: pa.Table) -> tuple[list[Setting], list[Dimension]]:
    """Settings that all rows share, and dimensions in which they differ.

    Args:
        table: results with the columns `params` and those of `ASIDE`.
    """
    rows = _params(table)
    usual = StyleParams.of({}).to_json()
    settings, dimensions = [], []
    for name in dict.fromkeys(name for row in {id(row): row for row in rows}.values() for name in row):
        column = [_plain(row.get(name)) for row in rows]
        if len(set(column)) > 1:
            dimensions.append(dimension(name, column))
        else:
            value = _text(column[0])
            settings.append(Setting(name, value, PARAMETERS.get(name, ""), value == _text(_plain(usual.get(name)))))
    for name, said in ASIDE.items():
        column = table[name].to_pylist()
        if len({value for value in column if value is not None}) > 1:
            dimensions.append(dimension(said, column))
    return sorted(
        settings, key=lambda s: (s.usual, list(PARAMETERS).index(s.name) if s.name in PARAMETERS else 0)
    ), dimensions


def dimension(name: str, column: Sequence[float | str | None]) -> Dimension:
    """A column of values as a dimension: numbers in their order if all are, else texts in theirs."""
    present = {value for value in column if value is not None}
    if all(not isinstance(value, str) for value in present):
        values: list[float | str] = sorted(present, key=lambda value: (float(value), str(value)))
        codes = {value: code for code, value in enumerate(values)}
        return Dimension(name, values, [-1 if value is None else codes[value] for value in column])
    values = sorted({_text(value) for value in present})
    codes = {value: code for code, value in enumerate(values)}
    return Dimension(name, values, [-1 if value is None else codes[_text(value)] for value in column])


def told(value: Any) -> str:
    """A value of a setting in words; a dash for none."""
    return _text(_plain(value)) or "–"


def _params(table: pa.Table) -> list[Mapping[str, Any]]:
    """Of each row; rows with the same text share one object, since most of a run's do."""
    known: dict[str | None, Mapping[str, Any]] = {None: {}}
    texts = table["params"].to_pylist()
    for text in set(texts):
        known.setdefault(text, json.loads(text or "{}"))
    return [known[text] for text in texts]


def _plain(value: Any) -> float | str | None:
    """A number, a text, or None: what is neither becomes text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(_text(_plain(part)) for part in value)
    return value if isinstance(value, int | float) else json.dumps(value)


def _text(value: float | str | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
