"""Mappings from text to text as Arrow columns, in which a million keys are looked up at once."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc


class Pairs(Mapping[str, str]):
    """A mapping from texts to texts, held in two columns."""

    def __init__(
        self, keys: pa.Array | pa.ChunkedArray, values: pa.Array | pa.ChunkedArray, *, distinct: bool = False
    ) -> None:
        """Take columns of equal length; of equal keys the last counts.

        Args:
            keys: texts.
            values: texts.
            distinct: whether all keys are known to differ, which need not be found out then.
        """
        self._keys, self._values, self._distinct = whole(keys), whole(values), distinct

    @classmethod
    def of(cls, mapping: Mapping[str, str]) -> "Pairs":
        """Return a mapping as columns; one that is such already, as it is."""
        return mapping if isinstance(mapping, cls) else cls(pa.array([*mapping]), pa.array([*mapping.values()]))

    def look_up(self, keys: pa.Array) -> pa.Array:
        """Return a column with the value of each of some keys, null for a key that the mapping lacks."""
        if not len(self._keys):
            return pa.nulls(len(keys), pa.large_string())
        # Of equal keys the first is found: from behind, that is the last.
        backwards = pa.array(range(len(self._keys) - 1, -1, -1)) if self._repeats else None
        known = self._keys if backwards is None else self._keys.take(backwards)
        values = self._values if backwards is None else self._values.take(backwards)
        return values.take(pc.index_in(keys.cast(pa.large_string()), value_set=known))

    def has_values(self, values: pa.Array) -> pa.Array:
        """Return whether each of some values belongs to a key."""
        return pc.is_in(values.cast(pa.large_string()), value_set=self._values)

    def among(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the pairs whose keys are among the given ones."""
        there = pc.is_in(self._keys, value_set=pa.array([*keys], pa.large_string()))
        some = self._keys.filter(there).to_pylist(), self._values.filter(there).to_pylist()
        return dict(zip(*some, strict=True))

    @cached_property
    def _repeats(self) -> bool:
        """Whether a key is there more than once."""
        return not self._distinct and bool(pc.count_distinct(self._keys).as_py() < len(self._keys))

    @cached_property
    def _as_dict(self) -> dict[str, str]:
        """All pairs, for whoever looks at each; they take much memory."""
        return dict(zip(self._keys.to_pylist(), self._values.to_pylist(), strict=True))

    def __getitem__(self, key: str) -> str:
        """Return the value of a key, or raise KeyError."""
        return self._as_dict[key]

    def __iter__(self) -> Iterator[str]:
        """Yield each key."""
        return iter(self._as_dict)

    def __len__(self) -> int:
        """Return how many distinct keys there are."""
        return len(self._as_dict)


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column of texts in one piece, whose texts may have more than two GB together."""
    column = column.cast(pa.large_string())
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
