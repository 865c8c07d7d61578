"""The files of a plan: rows as documented columns, in the order of their batches, and back again."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nst_kernel.params import StyleParams
from pipeline.manifest import EARLIER, SCHEMA, Rows, joined
from pipeline.planning.batch import Failure
from pipeline.planning.batches import Batches, BatchRange, Planned

_TEXT = pa.string()

_BY_NUMBER = ("style", "file")
"""Columns of rows that are numbers among distinct texts in memory, and those texts in files."""

FILE = pa.schema(
    [
        ("batch", pa.int64()),
        *((name, _TEXT if name in (*_BY_NUMBER, "params") else SCHEMA.field(name).type) for name in SCHEMA.names),
        *((field.name, field.type) for field in EARLIER),
        ("saving", _TEXT),
        ("owned", pa.bool_()),
        ("crashes_together", pa.int32()),
        ("error_class", _TEXT),
        ("error", _TEXT),
        ("error_status", _TEXT),
    ]
)
"""Columns of a plan's file; README.md says what each is. Rows that have nothing to compute have no batch."""


def planned_table(planned: Planned, spans: Sequence[BatchRange], first: int) -> pa.Table:
    """Return batches that follow each other as a table of `FILE`.

    Args:
        planned: the rows of a plan.
        spans: the batches.
        first: number of the first of them.
    """
    start, counts = spans[0].start, [span.rows for span in spans]
    places = np.arange(start, start + sum(counts))
    heights, widths = (np.repeat([span.shape[side] if span.shape else 0 for span in spans], counts) for side in (0, 1))
    numbers = np.concatenate([np.repeat(np.arange(span.batches), span.length) for span in spans])
    befores = np.repeat(np.cumsum([first, *(span.batches for span in spans[:-1])]), counts)
    failures = [planned.failures.get(place) for place in places.tolist()]
    return _table(
        planned.rows.at(places),
        batch=befores + numbers,
        fingerprint=planned.fingerprints.slice(start, len(places)),
        output_height=pa.array(heights, pa.int32(), mask=heights == 0),
        output_width=pa.array(widths, pa.int32(), mask=widths == 0),
        saving=np.repeat([span.saving for span in spans], counts).tolist(),
        owned=planned.owned[places],
        crashes_together=[planned.crashes_together.get(place, 0) for place in places.tolist()],
        error_class=[failure and failure.error_class for failure in failures],
        error=[failure and failure.error for failure in failures],
        error_status=[failure and failure.status for failure in failures],
    )


def left_out_table(rows: Rows) -> pa.Table:
    """Return rows that have nothing to compute as a table of `FILE`."""
    return _table(rows)


def _table(rows: Rows, **columns: Any) -> pa.Table:
    """Return rows with further columns as a table of `FILE`; columns that are not given are null."""
    alone = rows.alone()
    numbers, which = np.unique(rows.numbers("params"), return_inverse=True)
    texts = [json.dumps(rows.params[number].to_json(), sort_keys=True) for number in numbers.tolist()]
    columns |= {name: alone[name] for name in SCHEMA.names} | {"params": pa.array(texts, _TEXT).take(pa.array(which))}
    columns |= {name: alone[name].cast(_TEXT) for name in _BY_NUMBER}
    arrays = [columns.get(name, pa.nulls(len(rows), FILE.field(name).type)) for name in FILE.names]
    return pa.Table.from_arrays(
        [_of_type(each, kind) for each, kind in zip(arrays, FILE.types, strict=True)], schema=FILE
    )


def _of_type(column: Any, kind: pa.DataType) -> Any:
    """Return values as a column of a type."""
    return column.cast(kind) if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column, kind)


def rows_of(tables: Iterable[pa.Table], encoder_sha256: str, *, earlier: bool) -> Rows:
    """Return the rows of files.

    Args:
        tables: of `FILE`.
        encoder_sha256: of the encoder that the plan is for.
        earlier: whether rows have what the plan found out about them.
    """
    params: dict[StyleParams, int] = {}
    known: dict[str, int] = {}
    schema, parts = pa.schema([*SCHEMA, *(EARLIER if earlier else ())]), []
    for table in tables:
        texts = _encoded(table["params"])
        for text in texts.dictionary.to_pylist():
            if text not in known:
                known[text] = params.setdefault(StyleParams.of(json.loads(text)), len(params))
        numbers = pa.array([known[text] for text in texts.dictionary.to_pylist()], pa.int32()).take(texts.indices)
        columns = {name: table[name] for name in schema.names}
        columns |= {name: _encoded(table[name]) for name in _BY_NUMBER} | {"params": numbers}
        parts.append(pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema).combine_chunks())
    return Rows(joined(parts or [schema.empty_table()]), tuple(params), encoder_sha256)


def _encoded(texts: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return texts as numbers among distinct ones."""
    is_encoded = pa.types.is_dictionary(texts.type)
    return (texts.unify_dictionaries() if is_encoded else texts.dictionary_encode()).combine_chunks()


def batches_of(table: pa.Table, encoder_sha256: str) -> Batches:
    """Return the batches of a file.

    Args:
        table: of `FILE`.
        encoder_sha256: of the encoder that the plan is for.
    """
    table = table.filter(pc.is_valid(table["batch"])).combine_chunks()
    together = table["crashes_together"].to_numpy()
    errors = table.select(["error_class", "error", "error_status"])
    failed = np.flatnonzero(pc.is_valid(table["error_class"]).to_numpy())
    planned = Planned(
        rows_of([table], encoder_sha256, earlier=False),
        table["fingerprint"].combine_chunks(),
        table["owned"].to_numpy(),
        {place: int(together[place]) for place in np.flatnonzero(together).tolist()},
        {place: Failure(*errors.slice(place, 1).to_pylist()[0].values()) for place in failed.tolist()},
    )
    return Batches(planned, list(_spans(table)))


def _spans(table: pa.Table) -> Iterator[BatchRange]:
    """Yield the ranges of the batches of a table."""
    starts = np.flatnonzero(np.diff(table["batch"].to_numpy(), prepend=-1))
    lengths = np.diff(starts, append=len(table))
    of_batches = table.take(pa.array(starts)).select(["output_height", "output_width", "saving"])
    kinds = _numbered(
        [lengths, *(column.combine_chunks().dictionary_encode().indices for column in of_batches.columns)]
    )
    firsts = np.flatnonzero(np.diff(kinds, prepend=-1))
    counts = np.diff(firsts, append=len(starts))
    values = of_batches.take(pa.array(firsts)).to_pylist()
    for first, count, value in zip(firsts.tolist(), counts.tolist(), values, strict=True):
        height, width, saving = value.values()
        shape = None if height is None else (height, width)
        yield BatchRange(int(starts[first]), int(lengths[first]), count, shape, saving)


def _numbered(columns: Sequence[Any]) -> NDArray[np.int64]:
    """Return a number for each place, equal where all columns are."""
    numbers = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values = column if isinstance(column, np.ndarray) else column.fill_null(-1).to_numpy(zero_copy_only=False)
        _, values = np.unique(values, return_inverse=True)
        _, numbers = np.unique(numbers * (len(values) + 1) + values, return_inverse=True)
    return numbers
