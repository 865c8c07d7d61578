"""Rows as Arrow columns, which take a tenth of the memory that objects would; each row is made when it is asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nst_kernel.params import StyleParams
from pipeline.manifest.ids import around_seed, request_digest
from pipeline.manifest.row import Duplicate, Row

SCHEMA = pa.schema(
    [
        ("id", pa.large_string()),
        ("derived", pa.binary(8)),
        ("content", pa.large_string()),
        ("style", pa.dictionary(pa.int32(), pa.string())),
        ("output", pa.large_string()),
        ("params", pa.int32()),
        ("seed", pa.int64()),
        ("file", pa.dictionary(pa.int32(), pa.string())),
        ("number", pa.int64()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("traceparent", pa.string()),
    ]
)
"""Columns of rows: those of `Row`, but that `derived` is the id which follows from the request, and `params` the place
of the style parameters, all but the seed, among the distinct ones."""

EARLIER = pa.schema([("fingerprint", pa.string()), ("output_height", pa.int32()), ("output_width", pa.int32())])
"""Columns that rows have besides where an earlier plan of them was kept: what it found out about each."""

_AT_ONCE = 16_384
"""Rows that are Python's at a time."""

_SEEN = 4096
"""Parameters that are known by sight."""


class Kind(NamedTuple):
    """What rows have in common that differ in nothing but content, seed, names and shape.

    Attributes:
        style: of the rows, as `Row` has it.
        params: of the rows, with the seed 0.
    """

    style: str | None
    params: StyleParams

    def pictures(self) -> dict[str, tuple[str, ...]]:
        """Return the URIs of every picture that such a row reads beside its content, by role."""
        return Row("", None, self.style, "", self.params, "", 0).pictures()

    def uris(self) -> list[str]:
        """Return the URIs of every picture that such a row reads beside its content, in the order of `pictures`."""
        return [uri for uris in self.pictures().values() for uri in uris]

    @property
    def deciding(self) -> str | None:
        """URI of the picture that decides the shape of the output where such a row has no content."""
        return Row("", None, self.style, "", self.params, "", 0).deciding


class Origin(NamedTuple):
    """What the rows of a manifest follow from, all of it: equal origins come to equal rows.

    Attributes:
        digest: of the files, the parameters that are open in them, the encoder, and the code that reads them.
        duplicates: rows that were left out.
        remarks: on parameters that were asked for beside it.
    """

    digest: str
    duplicates: Sequence[Duplicate]
    remarks: tuple[str, ...]


class Rows(Sequence[Row]):
    """Rows as columns, in any order.

    Attributes:
        table: the columns, as `SCHEMA` has them.
        params: the distinct style parameters, each with the seed 0.
        encoder_sha256: of the encoder whose digest takes part in the derived ids.
        origin: what these rows follow from; None: not known, or only some of them are here.
    """

    origin: Origin | None = None

    def __init__(
        self,
        table: pa.Table,
        params: Sequence[StyleParams],
        encoder_sha256: str,
        order: NDArray[np.int64] | None = None,
    ) -> None:
        """Take columns.

        Args:
            table: as `SCHEMA` has them, each in one chunk; those of `EARLIER` may be behind them.
            params: the distinct style parameters, each with the seed 0.
            encoder_sha256: of the encoder whose digest takes part in the derived ids.
            order: places in the table of these rows, in order; None: all of them.
        """
        self.table, self.params, self.encoder_sha256, self._order = table, params, encoder_sha256, order
        self._columns = [column.chunk(0) for column in table.itercolumns()] if len(table) else []

    @classmethod
    def of(cls, rows: Iterable[Row], encoder_sha256: str | None = None) -> "Rows":
        """Return rows as columns; those that are such already, as they are.

        Args:
            rows: any.
            encoder_sha256: of the encoder that is to compute them; None: derived ids are not wanted.
        """
        if isinstance(rows, cls) and encoder_sha256 in (None, rows.encoder_sha256):
            return rows
        taken = Columns(encoder_sha256 or "")
        for row in rows:
            taken.add(row)
        return taken.rows()

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.table) if self._order is None else len(self._order)

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> Self: ...

    def __getitem__(self, place: int | slice) -> Row | Self:
        """Return a row, or some of them as columns."""
        if isinstance(place, slice):
            return self.at(np.arange(len(self))[place])
        place = range(len(self))[place]
        if self._order is not None:
            place = int(self._order[place])
        return self._row(*(column[place].as_py() for column in self._columns[: len(SCHEMA)]))

    def __iter__(self) -> Iterator[Row]:
        """Yield each row."""
        for values in self.values(SCHEMA.names):
            yield self._row(*values)

    def __eq__(self, other: object) -> bool:
        """Return whether another sequence has equal rows in the same order."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    def at(self, places: NDArray[Any]) -> Self:
        """Return the rows in these places, in their order; columns are not copied."""
        order = places if self._order is None else self._order[places]
        return type(self)(self.table, self.params, self.encoder_sha256, order.astype(np.int64, copy=False))

    def column(self, name: str) -> pa.Array:
        """Return a column of these rows, in their order."""
        if not self._columns:
            return pa.array([], self.table.schema.field(name).type)
        whole = self._columns[self.table.schema.get_field_index(name)]
        return whole if self._order is None else whole.take(pa.array(self._order))

    def numbers(self, name: str, missing: int = -1) -> NDArray[np.int64]:
        """Return a column of numbers, with another one for those that are missing."""
        numbers = self.column(name).fill_null(missing).to_numpy(zero_copy_only=False)
        return np.asarray(numbers, np.int64)

    def values(self, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the values of each row in some columns."""
        for start in range(0, len(self), _AT_ONCE):
            end = min(start + _AT_ONCE, len(self))
            places = None if self._order is None else pa.array(self._order[start:end])
            some = (self._columns[SCHEMA.get_field_index(name)] for name in names)
            parts = (one[start:end] if places is None else one.take(places) for one in some)
            yield from zip(*(part.to_pylist() for part in parts), strict=True)

    def used_params(self) -> list[StyleParams]:
        """Return the distinct parameters of these rows, each with the seed 0, in the order of their first rows."""
        numbers, first = np.unique(self.numbers("params"), return_index=True)
        return [self.params[number] for number in numbers[np.argsort(first)]]

    def renamed(self, names: Mapping[int, str]) -> Self:
        """Return these rows with other names of their outputs, which are given by the places of the rows."""
        if not names:
            return self
        places = sorted(names)
        order = np.arange(len(self.table)) if self._order is None else self._order
        by_table = dict(sorted((int(order[place]), names[place]) for place in places))
        is_named = np.zeros(len(self.table), bool)
        is_named[list(by_table)] = True
        place = SCHEMA.get_field_index("output")
        outputs = pc.replace_with_mask(
            self._columns[place], pa.array(is_named), pa.array([*by_table.values()], pa.large_string())
        )
        table = self.table.set_column(place, SCHEMA.field(place), outputs)
        return type(self)(table, self.params, self.encoder_sha256, self._order)

    def kinds(self) -> tuple[NDArray[np.int64], list["Kind"]]:
        """Return the distinct kinds of these rows, and the number of each row's kind among them."""
        styles = self.column("style")
        style_numbers = styles.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
        both = style_numbers * max(1, len(self.params)) + self.numbers("params")
        distinct, kinds = np.unique(both, return_inverse=True)
        which, numbers = np.divmod(distinct, max(1, len(self.params)))
        texts = [None, *styles.dictionary.to_pylist()]
        return kinds, [Kind(texts[s], self.params[n]) for s, n in zip(which.tolist(), numbers.tolist(), strict=True)]

    def whose(self, test: Callable[[StyleParams], bool]) -> Self:
        """Return the rows whose parameters pass a test, which looks at each distinct set once, without its seed."""
        passing = np.fromiter(map(test, self.params), bool, len(self.params))
        return self.at(np.flatnonzero(passing[self.numbers("params")]))

    def _row(self, *values: Any) -> Row:
        """Return the row that has these values in the columns."""
        id, _, content, style, output, number, seed, file, line, height, width, trace = values
        params = self.params[number]
        shape = None if height is None else (height, width)
        return Row(id, content, style, output, params.reseeded(seed) if seed else params, file, line, shape, trace)

    @property
    def has_earlier(self) -> bool:
        """Whether the columns of `EARLIER` are there."""
        return len(self.table.schema) > len(SCHEMA)

    def alone(self) -> pa.Table:
        """Return the columns of these rows, in their order, without other rows of their table."""
        return self.table if self._order is None else self.table.take(pa.array(self._order)).combine_chunks()

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how these rows are pickled: without other rows of their table."""
        return type(self), (self.alone(), self.params, self.encoder_sha256)


class Columns:
    """Rows that are gathered one by one, and become columns."""

    def __init__(self, encoder_sha256: str) -> None:
        """Begin with none.

        Args:
            encoder_sha256: of the encoder's weights, part of derived ids.
        """
        self._encoder = encoder_sha256
        self._pending: list[tuple[Any, ...]] = []
        self._parts: list[pa.Table] = []
        self._params: dict[StyleParams, int] = {}
        self._by_sight: dict[int, tuple[StyleParams, int]] = {}  # by identity, which its object keeps
        self.count = 0

    def add(self, row: Row) -> None:
        """Take a row."""
        derived = request_digest(row.content, around_seed(row.style, row.params, self._encoder), row.params.seed)
        height, width = row.content_shape or (None, None)
        self.add_values(
            (
                *(row.id, derived, row.content, row.style, row.output, self.number_of(row.params), row.params.seed),
                *(row.file, row.number, height, width, row.traceparent),
            )
        )

    def add_values(self, values: tuple[Any, ...]) -> None:
        """Take a row by its values in the columns of `SCHEMA`."""
        self._pending.append(values)
        self.count += 1
        if len(self._pending) == _AT_ONCE:
            self._flush()

    def number_of(self, params: StyleParams) -> int:
        """Return the place of parameters among the distinct ones, whatever their seed."""
        known = self._by_sight.get(id(params))
        if known:
            return known[1]
        number = self._params.setdefault(params.reseeded(0) if params.seed else params, len(self._params))
        if len(self._by_sight) >= _SEEN:
            self._by_sight.clear()
        self._by_sight[id(params)] = params, number
        return number

    def rows(self) -> Rows:
        """Return the rows that were taken; no more can be."""
        self._flush()
        return Rows(joined(self._parts), tuple(self._params), self._encoder)

    def _flush(self) -> None:
        """Make columns of what was taken since the last time."""
        columns = zip(*self._pending, strict=True) if self._pending else ([] for _ in SCHEMA)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
        self._parts.append(pa.Table.from_arrays(arrays, schema=SCHEMA))
        self._pending.clear()


def joined(parts: list[pa.Table]) -> pa.Table:
    """Return tables of one schema as one whose columns have one chunk each; the list is emptied.

    Columns are joined one after the other, so that no more than one is there twice.
    """
    schema = parts[0].schema
    chunks = [[part.column(place) for part in parts] for place in range(len(schema))]
    parts.clear()
    columns = []
    while chunks:
        whole = pa.chunked_array([chunk for column in chunks.pop(0) for chunk in column.chunks])
        columns.append(whole.chunk(0) if whole.num_chunks == 1 else whole.unify_dictionaries().combine_chunks())
    return pa.Table.from_arrays(columns, schema=schema)
