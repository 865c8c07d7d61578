"""A manifest in pieces is what it is as a whole: rows, problems, numbers of lines, wherever it is cut."""

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import storage
from pipeline.manifest import (
    Duplicate,
    Row,
    RowProblem,
    Settings,
    in_order,
    items,
    iter_rows,
    parts,
    pieces,
    read_manifest,
    reader,
    text,
)
from pipeline.storage import Store
from tests.pipeline.support.bad_manifests import BAD_MANIFESTS

Found = tuple[list[Row | Duplicate | RowProblem], dict[str, int]]


def guessed(tasks: Sequence[parts.Task], how: parts.How, connect: object) -> Iterator[tuple[parts.Task, parts.Part]]:
    """Each piece read by itself, as by the tasks of a cluster, which do not know where the one before it ends."""
    return ((task, parts.read_part(task, how)) for task in tasks)


def read(
    file: Path, *, cut: int | None, beyond: int = 3, guesses: bool = True, asked: Mapping[str, object] | None = None
) -> Found:
    """Everything that is found, in pieces of so many bytes, or of row groups with as many rows; None: as a whole.

    Few bytes behind a piece come with it, so that records that go on are fetched.
    """
    settings = Settings(asked or {})
    with pytest.MonkeyPatch.context() as monkeypatch:
        if guesses and cut:
            monkeypatch.setattr(reader, "read_by_tasks", guessed)
        monkeypatch.setattr(text, "_BEYOND", beyond)
        monkeypatch.setattr(pieces, "_LOOKED_AT", 0)
        for module, name in ((pieces, "BYTES"), (reader, "BYTES"), (pieces, "ROWS")):
            monkeypatch.setattr(module, name, cut or 2**40)
        found = list(iter_rows(str(file), encoder_sha256="e", defaults=asked or {}, settings=settings))
    return found, dict(settings.own)


HEADER = "content,style,seed,params\n"
CSV = st.lists(
    st.sampled_from(
        [
            *("a.png,s.png,1,\n", "b.png,s.png,,\n", "é.png,s.png,3,\r\n", "\n", " , ,,\n", "a.png,s.png,1,\n"),
            *('"c\n.png",s.png,1,\n', 'd.png,s.png,,"{""size"":\n64}"\n', '"e,\n\n""\n.png",s.png,,\n', '"', '"\n'),
            *("f.png,s.png\n", 'g.png,s.png,,"{""sise"": 1}"\n', "h.png,s.png,x,\n", "\ufeff", "i.png,s.png,4,,,\n"),
            *("j\0.png,s.png,,\n", 'k"x",s.png,,\n', "l.png,s.png,9,"),
        ]
    ),
    max_size=12,
)


@given(
    st.sampled_from([HEADER, "\n\n" + HEADER, '"content",style\n,x', ",content,style,seed\n", ""]),
    CSV,
    st.integers(5, 60),
)
@example(HEADER, ['"c\n.png",s.png,1,\n', "é.png,s.png,3,\r\n"], 1)
@example(HEADER, ['"c\n.png",s.png,1,\n'] * 4, 7)
@example(HEADER, ['"x\na.png,s.png,1,\n.png",s.png,2,\n'] * 3, 30)
@example(HEADER, ["a.png,s.png,1,\n", '"\n', "b.png,s.png,,\n", "b.png,s.png,,\n"], 5)
@example(",content,style,seed\n", ["x,a.png,s.png,1\n", "y,b.png,s.png,1\n"], 4)
def test_a_csv_file_may_be_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, header: str, lines: list[str], size: int
) -> None:
    file = tmp_path_factory.mktemp("pieces") / "rows.csv"
    file.write_bytes((header + "".join(lines)).encode())
    assert read(file, cut=size) == read(file, cut=size, guesses=False) == read(file, cut=None)


RECORDS = st.lists(
    st.fixed_dictionaries(
        {"content": st.sampled_from(["a.png", "é.png", "c\n.png", 3, None])},
        optional={
            "style": st.sampled_from(["s.png", ["s.png", "t.png"], "u.png|v.png"]),
            "id": st.sampled_from(["one", "two", 7]),
            "size": st.sampled_from([64, "big", 128]),
            "colour": st.just("red"),
            "params": st.sampled_from([{"size": 64}, {"sise": 1, "seed": 2}, {"sizee": 1}]),
        },
    ),
    max_size=12,
)


@given(RECORDS, st.sampled_from(["", "\n", "{\n", "[]\n"]), st.integers(12, 80))
@settings(max_examples=8)
@example([{"content": f"{size}.png", "style": "s.png", "params": {"size": size}} for size in (64, 128, 256)], "", 60)
@example([{"content": "a.png", "style": "s.png", "colour": "red"}] * 3, "", 60)
@example([{"content": "é.png", "style": "s.png"}] * 2, "{\n", 1)
def test_a_file_of_json_lines_may_be_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], odd: str, size: int
) -> None:
    file = tmp_path_factory.mktemp("pieces") / "rows.jsonl"
    file.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" + odd for record in records))
    for asked in (None, {"size": 32}):
        whole = read(file, cut=None, asked=asked)
        assert read(file, cut=size, asked=asked) == read(file, cut=size, guesses=False, asked=asked) == whole


@given(
    st.lists(st.sampled_from(["a.png", "b.png", None, "c\x00"]), min_size=1, max_size=12),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_a_parquet_file_may_be_cut_between_its_row_groups(
    tmp_path_factory: pytest.TempPathFactory, contents: list[str | None], group: int, size: int
) -> None:
    file = tmp_path_factory.mktemp("pieces") / "rows.parquet"
    table = pa.table(
        {"content": contents, "style": ["s.png"] * len(contents), "": ["x"] * len(contents), "colour": contents}
    )
    pq.write_table(table, file, row_group_size=group)
    assert read(file, cut=size) == read(file, cut=size, guesses=False) == read(file, cut=None)


@pytest.mark.parametrize("name", BAD_MANIFESTS)
def test_a_bad_manifest_has_the_same_problems_in_pieces(tmp_path: Path, name: str) -> None:
    """Pieces of one record; in long files, of as many bytes as a fifteenth of it has."""
    file, data, _ = BAD_MANIFESTS[name]
    (tmp_path / file).write_bytes(_in_groups_of_one(data) if file.endswith(".parquet") else data)
    size, beyond = max(1, len(data) // 15), len(data) // 10
    whole = read(tmp_path / file, cut=None)
    assert read(tmp_path / file, cut=size, beyond=beyond, guesses=False) == whole
    if len(data) < 2**20:  # else every piece reads a header of a million columns
        assert read(tmp_path / file, cut=size, beyond=beyond) == whole


def _in_groups_of_one(data: bytes) -> bytes:
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError):
        return data
    rewritten = io.BytesIO()
    pq.write_table(table, rewritten, row_group_size=max(1, len(table) // 50))
    return rewritten.getvalue()


def test_reading_ends_after_the_same_problems_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_PROBLEMS", 20)
    monkeypatch.setattr(reader, "MAX_PROBLEMS", 20)
    monkeypatch.setattr(parts, "_READ_ON", 30)
    lines = ["a.png,s.png,x" if number % 3 else f"{number}.png,s.png,1" for number in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["content,style,seed", *lines]))
    found, _ = whole = read(tmp_path / "rows.csv", cut=None)
    assert [isinstance(item, RowProblem) for item in found].count(True) == 21
    for size in (8, 30, 200, 600):
        assert read(tmp_path / "rows.csv", cut=size) == read(tmp_path / "rows.csv", cut=size, guesses=False) == whole


def test_columns_of_all_pieces_together_are_not_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (items, in_order, parts):
        monkeypatch.setattr(module, "MAX_COLUMNS", 8)
    monkeypatch.setattr("pipeline.manifest.json_lines.MAX_COLUMNS", 8)
    monkeypatch.setattr("pipeline.manifest.row_reader.MAX_COLUMNS", 8)
    rows = [
        {"content": f"{number}.png", "style": "s.png", f"k{number}": 0, "params": {f"p{number}": 1}}
        for number in range(12)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found, _ = whole = read(tmp_path / "rows.jsonl", cut=None)
    assert "line 6: expected at most 8 columns" in str(found[-1]) or any("line 6" in str(item) for item in found)
    for size in (20, 100, 150, 300):
        assert (
            read(tmp_path / "rows.jsonl", cut=size) == read(tmp_path / "rows.jsonl", cut=size, guesses=False) == whole
        )


def test_only_a_piece_that_begins_within_a_cell_is_read_again(tmp_path: Path) -> None:
    lines = [f"{number:04}.png,s.png,\n" for number in range(30)]
    lines[15] = '"0015\n\n\n\n\n\n\n\n.png",s.png,\n'
    (tmp_path / "rows.csv").write_text("content,style,id\n" + "".join(lines))
    again: list[int] = []
    for size in range(40, 80, 2):
        with patch("pipeline.manifest.in_order.read_part", side_effect=parts.read_part) as reading:
            assert len(read(tmp_path / "rows.csv", cut=size)[0]) == 30
        again.append(reading.call_count)
    assert set(again) == {0, 1}


def test_of_a_piece_only_its_bytes_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.csv").write_text(
        "content,style\n" + "".join(f"{number:05}.png,s.png\n" for number in range(5000))
    )
    fetched: list[int] = []

    class Counting:
        def __init__(self, store: Store) -> None:
            self.store = store

        def __getattr__(self, verb: str) -> Callable[..., Any]:
            request: Callable[..., Any] = getattr(self.store, verb)
            return request

        def read(self, path: str, start: int, end: int | None) -> bytes:
            data = self.store.read(path, start, end)
            fetched.append(len(data))
            return data

    undo = storage.intercept(lambda _, store: Counting(store))
    try:
        read(tmp_path / "rows.csv", cut=10_000, beyond=64, guesses=False)
    finally:
        undo()
    assert len(fetched) < 25
    assert max(fetched) < 11_000


def test_a_file_that_is_changed_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("content,style\n" + "a.png,s.png\n" * 20)

    def changing(task: parts.Task, how: parts.How) -> parts.Part:
        part = parts.read_part(task, how)
        file.write_text("content,style\n" + "b.png,s.png\n" * 20)
        os.utime(file, (1, 1))  # clocks of files may tell no two changes within a tick apart
        return part

    monkeypatch.setattr(in_order, "read_part", changing)
    found, _ = read(file, cut=50, guesses=False)
    assert "expected a file that stays as it is while it is read" in str(found[-1])


def test_small_files_are_read_together(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.csv").write_text(f"content,style\n{number}.png,s.png\n")
    with patch("pipeline.manifest.in_order.read_part", side_effect=parts.read_part) as reading:
        rows = read_manifest(str(tmp_path), encoder_sha256="e").rows
    assert reading.call_count == 1
    assert [(row.number, row.content) for row in rows] == [(2, str(tmp_path / f"{number}.png")) for number in range(20)]


def test_a_text_is_cut_into_pieces_of_some_size_and_a_packed_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(name: str) -> Sequence[int | None]:
        return [piece.end for piece in pieces.cut(pieces.Piece(name, str(tmp_path / name)))]

    with (tmp_path / "rows.csv").open("wb") as file:
        file.truncate(5 * pieces.BYTES // 2)
    (tmp_path / "rows.csv.gz").write_bytes((tmp_path / "rows.csv").read_bytes())
    assert ends("rows.csv") == [pieces.BYTES, 2 * pieces.BYTES, None]
    assert ends("rows.csv.gz") == ends("missing.csv") == [None]
    monkeypatch.setattr(pieces, "_LOOKED_AT", 0)
    pq.write_table(pa.table({"content": ["a"] * 500_000}), tmp_path / "rows.parquet", row_group_size=50_000)
    assert ends("rows.parquet") == [4, 8, None]


def test_a_file_that_is_too_large_is_refused_and_not_read_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("content,style\n" + "a.png,s.png\n" * 100)
    with storage.allowing(storage.Allowed(max_bytes=1000)):
        found, _ = read(tmp_path / "rows.csv", cut=200)
    (problem,) = found
    assert "expected a file that can be read" in str(problem)
