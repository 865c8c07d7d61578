"""Memory is given back where there is much of it, and nothing is searched for where there is little."""

import gc

import numpy as np
import pyarrow as pa
import pytest

from pipeline.process import garbage


class _Frame:
    """Refers to itself and holds a column, as the frame of an error does."""

    def __init__(self, column: pa.Array) -> None:
        self.column, self.itself = column, self


def test_large_columns_that_only_cycles_hold_are_given_back() -> None:
    with garbage.paused():
        before = pa.total_allocated_bytes()
        _Frame(_column(garbage.MUCH // 8 + 1))
        assert pa.total_allocated_bytes() - before >= garbage.MUCH

        garbage.give_back()

        assert pa.total_allocated_bytes() - before < garbage.MUCH


def test_nothing_is_searched_for_where_there_is_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: pytest.fail("a search takes some tenths of a second"))

    garbage.give_back()


def _column(count: int) -> pa.Array:
    """Return a column whose memory is Arrow's own."""
    half = pa.array(np.zeros(count - count // 2))
    return pa.concat_arrays([half, half[: count // 2]])
