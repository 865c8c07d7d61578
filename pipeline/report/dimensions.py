"""The settings that all rows share, and the dimensions in which they differ: by these the page filters and sorts."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nst_kernel import PARAMETERS, StyleParams
from pipeline.outputs import query

COLUMNS = {"encoder": "encoder", "device": "device", "precision": "computed in"}
"""Columns of the results that tell rows apart as parameters do, and what the page calls them."""

AT_ONCE = 1024
"""Rows whose parameters are parsed at once: as objects of Python they take ten kilobytes each."""

Plain = float | str | None
"""A value as the page shows it; None: there is none."""


@dataclass(frozen=True)
class Dimension:
    """Something that varies between rows.

    Attributes:
        name: of the parameter, or what the page calls a column.
        values: distinct, in order: numbers, or else texts.
        codes: for each row the index of its value; -1 where it has none.
    """

    name: str
    values: pa.Array
    codes: NDArray[np.int32]

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers."""
        return not pa.types.is_string(self.values.type)


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


class Parameters:
    """The parameters of many rows: some bytes a row for each that varies, and nothing for those that rows share."""

    def __init__(self) -> None:
        self._slices: dict[str, list[tuple[int, Mapping[str, Plain | pa.Array]]]] = {}

    def add(self, part: str, texts: pa.ChunkedArray) -> None:
        """Add rows of a file of results, after those of it that were added before.

        Args:
            part: the file.
            texts: the column `params` of the rows.
        """
        slices = self._slices.setdefault(part, [])
        for start in range(0, len(texts), AT_ONCE):
            some = pc.fill_null(texts.slice(start, AT_ONCE), "").combine_chunks().dictionary_encode()
            rows = [query.parameters_of(text) for text in some.dictionary.to_pylist()]
            names = dict.fromkeys(name for row in rows for name in row)
            slices.append((len(some), {name: _values([row.get(name) for row in rows], some.indices) for name in names}))

    def columns(self, parts: Iterable[str], places: pa.Array) -> Iterator[tuple[str, Plain | pa.Array]]:
        """Yield each parameter by name, with the value that all rows share or with a column of values.

        Args:
            parts: the files of results, in the order of their rows.
            places: of the rows that are wanted among all those rows.
        """
        slices = [each for part in parts for each in self._slices[part]]
        for name in dict.fromkeys(name for _, values in slices for name in values):
            yield name, _column([(rows, values.get(name)) for rows, values in slices], places)


def _values(distinct: Sequence[Any], indices: pa.Array) -> Plain | pa.Array:
    """Return the value that all rows share, or a column of values, numbers if all are, else texts.

    Args:
        distinct: values as JSON has them.
        indices: of each row, the index of its value.
    """
    if distinct.count(distinct[0]) == len(distinct):
        return _plain(distinct[0])
    plain = [_plain(value) for value in distinct]
    if any(isinstance(value, str) for value in plain):
        plain = [None if value is None else _text(value) for value in plain]
    elif any(isinstance(value, float) for value in plain):
        plain = [None if value is None else float(value) for value in plain]
    return pa.array(plain).take(indices)


def _column(slices: Sequence[tuple[int, Plain | pa.Array]], places: pa.Array) -> Plain | pa.Array:
    """Return what rows have of a parameter: the value that all share, or a column.

    Args:
        slices: of all rows in order: how many, and the value that they share or their column of values.
        places: of the rows that are wanted.
    """
    arrays = [value for _, value in slices if isinstance(value, pa.Array)]
    alone = {value for _, value in slices if not isinstance(value, pa.Array)}
    if not arrays and len(alone) == 1:
        return alone.pop()
    types = {array.type for array in arrays} | {pa.scalar(value).type for value in alone} - {pa.null()}
    wide = pa.string() if pa.string() in types else pa.int64() if types == {pa.int64()} else pa.float64()
    column = pa.concat_arrays([_repeated(rows, value, wide) for rows, value in slices]).take(places)
    if len(distinct := column.unique()) > 1:
        return column
    return distinct[0].as_py() if len(distinct) else None


def _repeated(rows: int, value: Plain | pa.Array, wide: pa.DataType) -> pa.Array:
    """Return a column of so many rows in a type that holds the values of all rows."""
    if not isinstance(value, pa.Array):
        value = _text(value) if value is not None and wide == pa.string() else value
        return pa.nulls(rows, wide) if value is None else pa.repeat(pa.scalar(value, wide), rows)
    if wide == pa.string() and value.type != wide:
        return pa.array([None if each is None else _text(each) for each in value.to_pylist()], wide)
    return value.cast(wide, safe=False)


def split(
    parameters: Iterable[tuple[str, Plain | pa.Array]], columns: Mapping[str, pa.Array]
) -> tuple[list[Setting], list[Dimension]]:
    """Return the settings that all rows share, and the dimensions in which they differ.

    Args:
        parameters: by name, with the value that all rows share or with a column of values.
        columns: the columns `COLUMNS` of the rows.
    """
    usual = StyleParams.of({}).all_values()
    settings, dimensions = [], []
    for name, column in parameters:
        if isinstance(column, pa.Array):
            dimensions.append(dimension(name, column))
        else:
            description = PARAMETERS[name].described if name in PARAMETERS else ""
            settings.append(Setting(name, _text(column), description, _text(column) == _text(_plain(usual.get(name)))))
    for name, title in COLUMNS.items():
        varying = dimension(title, columns[name].cast(pa.string()))
        if len(varying.values) > 1:
            dimensions.append(varying)
    known = list(PARAMETERS)
    return sorted(settings, key=lambda s: (s.usual, known.index(s.name) if s.name in known else 0)), dimensions


def dimension(name: str, column: pa.Array) -> Dimension:
    """Return a column of values as a dimension, with its values in order of numbers, or else of texts."""
    encoded = column.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    ranks = np.empty(len(order) + 1, np.int32)
    ranks[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    ranks[-1] = -1
    codes = ranks[pc.fill_null(encoded.indices, len(order)).to_numpy()]
    return Dimension(name, encoded.dictionary.take(order), codes)


def in_words(value: Any) -> str:
    """Return a value of a setting in words; a dash for none."""
    return _text(_plain(value)) or "–"


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
