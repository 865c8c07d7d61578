"""Compaction changes where rows are, and never what is read; whenever it is killed."""

import contextlib
import io
import itertools
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import storage
from pipeline.outputs import schema
from pipeline.outputs import table as result_table
from pipeline.outputs.compact import compact
from tests.pipeline.outputs.test_table import record

_numbers = itertools.count()


class Killed(BaseException):
    """The process ended in the middle."""


def filled(events: list[tuple[str, str, int]]) -> str:
    output = f"memory://compact-{next(_numbers)}"
    for number, (row_id, status, later) in enumerate(events):
        result_table.commit(output, [record(row_id, status=status, mark=str(number), later=later)])
    return output


def names(output: str) -> list[str]:
    return [part.rpartition("/")[2] for part in result_table.parts(output)]


def said(output: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = result_table.read_results(output).to_pylist()
    return rows


EVENTS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(schema.STATUSES), st.integers(0, 10**6)),
    min_size=1,
    max_size=7,
    unique_by=lambda event: event[2],
)


@given(EVENTS, st.sampled_from([1, 2000, 10**9]), st.integers(0, 30))
def test_nothing_is_lost_whenever_it_is_killed(events: list[tuple[str, str, int]], file_bytes: int, lives: int) -> None:
    output = filled(events)
    before, steps = said(output), itertools.count()

    def mortal(function: Any) -> Any:
        def step(*args: Any) -> Any:
            if next(steps) == lives:
                raise Killed
            return function(*args)

        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("pipeline.outputs.compact"), "PARTS_AT_ONCE", 2)
        patch.setattr(storage, "write_bytes", mortal(storage.write_bytes))
        patch.setattr(storage, "remove", mortal(storage.remove))
        try:
            compact(output, file_bytes=file_bytes)
        except Killed:
            assert said(output) == before
    compact(output, file_bytes=file_bytes)
    assert said(output) == before


@settings(max_examples=10)
@example([("a", "ok", 1), ("b", "ok", 2)], [(0, "c"), (2, "d")], 30)
@given(EVENTS, st.lists(st.tuples(st.integers(0, 20), st.sampled_from("abcdefgh")), max_size=5), st.integers(0, 30))
def test_rows_of_a_run_that_goes_on_are_kept_while_others_are_merged(
    events: list[tuple[str, str, int]], arrivals: list[tuple[int, str]], lives: int
) -> None:
    """Batches are committed between any two steps of a merging, which may end in the middle."""
    output, steps, arrived = filled(events), itertools.count(), set[str]()
    write, remove = storage.write_bytes, storage.remove

    def beside(function: Any) -> Any:
        def step(*args: Any) -> Any:
            now = next(steps)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(storage, "write_bytes", write)
                for number, (at, row_id) in enumerate(arrivals):
                    if at == now:
                        result_table.commit(output, [record(row_id, mark=f"new {number}", run=2)])
                        arrived.add(row_id)
            if now == lives:
                raise Killed
            return function(*args)

        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("pipeline.outputs.compact"), "PARTS_AT_ONCE", 2)
        patch.setattr(storage, "write_bytes", beside(write))
        patch.setattr(storage, "remove", beside(remove))
        with contextlib.suppress(Killed):
            compact(output, file_bytes=2000)
    assert {row["id"] for row in said(output)} == arrived | {row_id for row_id, *_ in events}
    assert {row["id"] for row in said(output) if row["run"] == 2} == arrived


def test_parts_become_one_file_and_then_grow_into_full_ones() -> None:
    output = filled([(name, "ok", n) for n, name in enumerate("abc")])
    (rest,) = compact(output)
    assert names(output) == [rest.rpartition("/")[2]]
    assert compact(output) == []
    result_table.commit(output, [record("d")])
    (full,) = compact(output, file_bytes=1)
    assert "/rows-" in full
    assert len(names(output)) == 1
    result_table.commit(output, [record("e")])
    result_table.commit(output, [record("f")])
    compact(output)
    assert [name.partition("-")[0] for name in names(output)] == ["rest", "rows"]
    assert full.rpartition("/")[2] in names(output)
    assert [row["id"] for row in said(output)] == list("abcdef")


def test_a_reader_that_is_overtaken_again_and_again_reads_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time that it has listed the files, a run ends and merges them."""
    output = filled([("a", "ok", 1), ("b", "ok", 2)])
    parts, runs = result_table.parts, iter(range(1, 9))

    def then_compacted(of: str) -> list[str]:
        found = parts(of)
        if (run := next(runs, None)) is not None:
            result_table.commit(of, [record("c", mark=str(run), run=run)])
            compact(of)
        return found

    monkeypatch.setattr(result_table, "parts", then_compacted)
    assert [(row["id"], row["fingerprint"]) for row in said(output)] == [("a", "0"), ("b", "1"), ("c", "8")]


def test_a_merged_file_has_one_row_for_each_id() -> None:
    output = filled([("a", "failed", 1), ("a", "ok", 2), ("b", "ok", 3)])
    (rest,) = compact(output)
    assert [(row["id"], row["status"]) for row in result_table.read_part(rest).to_pylist()] == [
        ("a", "ok"),
        ("b", "ok"),
    ]


def test_a_full_file_can_be_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("pipeline.outputs.compact")
    monkeypatch.setattr(module, "BATCH", 2)
    output = filled([(letter, "ok", k) for k, letter in enumerate("abcde")])
    [file] = compact(output, file_bytes=1)[:1]
    assert pq.ParquetFile(io.BytesIO(storage.read_bytes(file))).num_row_groups == 3


def test_rows_of_a_full_file_are_in_no_other_one() -> None:
    output = filled([(name, "ok", n) for n, name in enumerate("abcd")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("pipeline.outputs.compact"), "PARTS_AT_ONCE", 2)
        written = compact(output, file_bytes=1)
    found = [[row["id"] for row in result_table.read_part(part).to_pylist()] for part in written]
    assert sorted(id for ids in found for id in ids) == list("abcd")


def test_a_file_that_is_merged_into_itself_stays() -> None:
    """A batch that is committed again, by a process that did not know better, changes nothing."""
    events = [("a", "ok", 1), ("b", "ok", 2)]
    output = filled(events)
    before = said(output)
    (rest,) = compact(output)
    for number, (row_id, status, later) in enumerate(events):
        result_table.commit(output, [record(row_id, status=status, mark=str(number), later=later)])
    assert [part.rpartition("/")[2] for part in compact(output)] == [rest.rpartition("/")[2]]
    assert said(output) == before


def test_parts_in_folders_below_are_read_and_left_alone(tmp_path: Path) -> None:
    """A link may have led there, to the results of another run."""
    output, other = str(tmp_path / "out"), str(tmp_path / "other")
    for name in "ab":
        result_table.commit(output, [record(name)])
        result_table.commit(other, [record(f"other {name}")])
    (tmp_path / "out" / "results" / "linked").symlink_to(tmp_path / "other" / "results")
    before = said(output)
    assert len(before) == 4
    compact(output)
    assert said(output) == before
    assert len(result_table.parts(other)) == 2
    assert len(names(output)) == 3
