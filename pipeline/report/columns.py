"""The rows of the results as a page needs them: some hundred bytes each, in columns, however many there are."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.outputs import ORDER, REQUEST_COLUMNS, newest, places, read_parts
from pipeline.process import garbage
from pipeline.report.dimensions import Parameters
from pipeline.report.pictures import AT_ONCE, NOT_SHOWN, OUTCOME_COLUMNS, outcomes, roles
from pipeline.report.reasons import Reasons

NUMBERS = ("total_loss", "content_loss", "style_loss", "iterations", "width", "height", "started_at", "finished_at")
"""Columns of numbers and times."""

SHARED = ("status", "style", "warning", "device", "host", "precision", "encoder", "encoder_sha256", "versions")
"""Columns in which many rows have the same text."""

REQUESTED = tuple(dict.fromkeys([*REQUEST_COLUMNS, *ORDER, "error"]))
"""Columns of rows that are not ok, of which the page has whole texts."""

READ = tuple(
    dict.fromkeys(
        [*ORDER, "content", *NUMBERS, *SHARED, *REQUESTED, *OUTCOME_COLUMNS, "error_class", "seconds", "idle_seconds"]
    )
)
"""Columns of the results that a page reads of all rows."""

MAX_FAILED = 20_000
"""Rows that are not ok whose errors and requests a page has whole; of all others it has the reason."""

MAX_ERROR = 2000
"""Characters of an error on the page; the results have it whole."""


@dataclass
class PageRows:
    """Rows of an output in the order of the page.

    Attributes:
        columns: by name, most as in the results. Of their pictures: those of `outcomes`, and the roles that they read.
            `reason`: the number of why a row is not ok, else -1; `part`: the number of the file of results.
        parameters: by name, with the value that all rows share or with a column.
        reasons: why rows are not ok, the most frequent first.
        failed: rows that are not ok, at most `MAX_FAILED`, with `REQUESTED`.
        parts: files of results.
    """

    columns: dict[str, pa.Array]
    parameters: dict[str, Any]
    reasons: Sequence[str]
    failed: pa.Table
    parts: Sequence[str]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns["id"])

    def __getitem__(self, name: str) -> pa.Array:
        """Return a column."""
        return self.columns[name]

    def arrange(self, order: pa.Array) -> None:
        """Put the rows into another order, column by column, so that few bytes are there twice.

        Args:
            order: places of the rows in their order so far.
        """
        for columns in (self.columns, self.parameters):
            for name, column in columns.items():
                if isinstance(column, pa.Array):
                    columns[name] = column.take(order)
        place = pc.index_in(self.failed["id"], self.columns["id"])
        self.failed = self.failed.take(pc.sort_indices(place))
        garbage.give_back()

    def keep(self, names: Collection[str]) -> None:
        """Let go of all columns but these."""
        self.columns = {name: column for name, column in self.columns.items() if name in names}
        self.parameters.clear()
        garbage.give_back()


class Reader:
    """Keeps of each file of results what a page needs; files may be read by several threads."""

    def __init__(self, output: str, page: str) -> None:
        self.output, self.page = output, page
        self._parameters, self._reasons = Parameters(), Reasons()
        self._failed: list[pa.Table] | None = []  # None: more than are kept until it is known which of them count
        self._lock = threading.Lock()

    def read(self) -> PageRows:
        """Return the rows that count, ordered by id.

        Raises:
            StorageError: if there are no results, or they cannot be read.
        """
        return self.joined(read_parts(self.output, READ, reduced=self.reduced))

    def reduced(self, part: str, table: pa.Table) -> pa.Table:
        """Return what is kept of the rows of a file of results."""
        with self._lock:  # it is computing, and a full file has a hundred megabytes
            self._parameters.add(part, table["params"])
            columns = {name: table[name] for name in ("id", "run", "content", *NUMBERS)}
            columns |= {"optimise": pc.struct_field(table["seconds"], "optimise"), "idle": table["idle_seconds"]}
            columns["reason"] = self._reasons.of(table)
            columns |= self._pictures(table)
            unread = pc.and_(pc.is_valid(table["output"]), pc.is_null(columns["picture"]))
            warned = pc.binary_join_element_wise(table["warning"], NOT_SHOWN, "; ", null_handling="skip")
            columns["warning"] = pc.if_else(unread, warned, table["warning"])
            columns |= {name: columns.get(name, table.column(name)).dictionary_encode() for name in SHARED}
            self._keep_failures(table)
            return pa.table(columns)

    def joined(self, tables: dict[str, pa.Table]) -> PageRows:
        """Return the rows that count, ordered by id.

        Args:
            tables: what `reduced` has kept, by file; it is emptied, so that its memory goes as it is joined.
        """
        garbage.give_back()
        parts = list(tables)
        numbers = [pa.repeat(pa.scalar(k, pa.int32()), len(table)) for k, table in enumerate(tables.values())]
        table = pa.concat_tables(tables.values()).append_column("part", pa.chunked_array(numbers, pa.int32()))
        tables.clear()
        table = table.unify_dictionaries()
        status = table["status"].cast(pa.string())
        order = places(table.select(ORDER).set_column(ORDER.index("status"), "status", status))
        columns: dict[str, pa.Array] = {}
        for name in table.column_names:
            columns[name] = table[name].combine_chunks().take(order)
            table = table.drop_columns([name])
        parameters = dict(self._parameters.columns(parts, order))
        columns |= roles(columns.pop("style"), parameters, len(order))
        columns["reason"], reasons = self._reasons.ranked(columns["reason"])
        garbage.give_back()
        return PageRows(columns, parameters, reasons, self._failures(columns), parts)

    def _pictures(self, table: pa.Table) -> dict[str, pa.ChunkedArray]:
        """Return what `outcomes` returns for the rows of a file."""
        some = [table.select(OUTCOME_COLUMNS).slice(start, AT_ONCE) for start in range(0, len(table), AT_ONCE)]
        tables = [pa.table(outcomes(each.to_pylist(), page=self.page, output=self.output)) for each in some]
        joined = pa.concat_tables(tables or [pa.table(outcomes([], page=self.page, output=self.output))])
        return {name: joined[name] for name in joined.column_names}

    def _keep_failures(self, table: pa.Table) -> None:
        """Keep rows that are not ok, unless there are more than a page may have: many of those may not count."""
        if self._failed is not None:
            self._failed.append(_failures_of(table))
            if sum(map(len, self._failed)) > 2 * MAX_FAILED:
                self._failed = None

    def _failures(self, columns: Mapping[str, pa.Array]) -> pa.Table:
        """Return the rows that are not ok by what counts, the first of them by id."""
        counts = pc.not_equal(columns["status"].cast(pa.string()), "ok")
        ids = columns["id"].filter(counts).slice(0, MAX_FAILED)
        tables = self._failed
        if tables is None:  # now that it is known which they are, only they are read
            tables = list(
                read_parts(self.output, REQUESTED, reduced=lambda _, table: _failures_of(table, ids)).values()
            )
        failed = newest(pa.concat_tables(tables))
        return failed.filter(pc.is_in(failed["id"], ids))


def _failures_of(table: pa.Table, ids: pa.Array | None = None) -> pa.Table:
    """Return the rows of a table that are not ok, with `REQUESTED` and their errors cut; `ids`: of these alone."""
    wanted = pc.not_equal(table["status"], "ok")
    if ids is not None:
        wanted = pc.and_(wanted, pc.is_in(table["id"], ids))
    failed = table.select(REQUESTED).filter(wanted)
    errors = pa.array([bounded(error or "") for error in failed["error"].to_pylist()], pa.string())
    return failed.set_column(failed.schema.get_field_index("error"), "error", errors)


def bounded(error: str) -> str:
    """Return an error, cut to `MAX_ERROR` characters."""
    return error if len(error) <= MAX_ERROR else f"{error[:MAX_ERROR]}… ({len(error):,} characters in all)"
