"""The rows that a page begins with: all of them, or of many a sample; the page asks for others when they are wanted."""

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.outputs import ORDER, newest, read_parts
from pipeline.report.columns import PageRows

WHOLE = 20_000
"""Rows that a page begins with if there are no more."""

BEGINS, NOT_OK = 5_000, 1_000
"""Rows of a sample, and at most so many besides that are not ok."""

OPENED = 12
"""Files of results from which a sample comes, at least: nearly all of their bytes are curves, which it shows."""


def is_whole(rows: PageRows) -> bool:
    """Return whether a page begins with all rows."""
    return len(rows) <= WHOLE


def sample_first(rows: PageRows) -> tuple[int, Collection[str]]:
    """Put a sample of the rows before all others, and return how many they are and the files that have their curves.

    A sample is the same whenever it is taken of the same rows. Where all rows are begun with, none is moved.
    """
    if is_whole(rows):
        return len(rows), rows.parts
    draw = np.random.default_rng(0)
    part, reason = rows["part"].to_numpy(), rows["reason"].to_numpy()
    counts = np.bincount(part[reason < 0], minlength=len(rows.parts))
    files = draw.permutation(len(rows.parts))
    enough = int(np.searchsorted(np.cumsum(counts[files]), BEGINS)) + 1
    opened = files[: max(enough, OPENED)]
    good = np.flatnonzero((reason < 0) & np.isin(part, opened))
    bad = np.flatnonzero(reason >= 0)
    drawn = [draw.permutation(good)[:BEGINS], draw.permutation(bad)[:NOT_OK]]
    chosen = np.zeros(len(rows), np.bool_)
    chosen[np.concatenate(drawn)] = True
    rows.arrange(pa.array(np.concatenate([np.flatnonzero(chosen), np.flatnonzero(~chosen)])))
    return int(chosen.sum()), {rows.parts[k] for k in opened}


def curves(output: str, rows: PageRows, count: int, files: Collection[str]) -> pa.ChunkedArray:
    """Return the curves of the first rows; null where there is none, or it lies in another file.

    Args:
        output: of the run.
        rows: of the page.
        count: of the first ones.
        files: that are read.

    Raises:
        StorageError: if they cannot be read.
    """
    ids, parts = rows["id"].slice(0, count), rows["part"].slice(0, count)
    numbers = {part: number for number, part in enumerate(rows.parts)}

    def wanted(part: str, table: pa.Table) -> pa.Table:
        # Another file may have the curve of an earlier picture; one that is new since then has what others had.
        here = ids.filter(pc.equal(parts, numbers[part])) if part in numbers else ids
        return table.filter(pc.is_in(table["id"], here))

    among = None if is_whole(rows) else files
    tables = read_parts(output, [*ORDER, "curve"], reduced=wanted, among=among)
    results = newest(pa.concat_tables(tables.values()))
    return results["curve"].take(pc.index_in(ids, results["id"]))
