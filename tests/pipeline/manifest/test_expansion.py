"""Small manifests that stand for much: what they may unpack to, and how many of their problems are kept."""

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.manifest import expansion
from pipeline.manifest.parts import MAX_PROBLEMS
from pipeline.manifest.reader import iter_rows
from pipeline.manifest.row import ManifestError, RowProblem
from tests.pipeline.manifest.test_manifest import ENCODER, read, write


def test_reading_stops_after_ten_thousand_problems(tmp_path: Path) -> None:
    lines = ["content,style", *["a.jpg"] * 50_000, "a.jpg,b.jpg"]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    with pytest.raises(ManifestError) as error:
        read(tmp_path / "m.csv")
    problems = error.value.problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert "expected fewer problems: reading stopped after the first 10,000" in str(problems[0])
    assert [problem.number for problem in problems[1:]] == list(range(2, MAX_PROBLEMS + 2))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("m.csv.gz", b"a.jpg,b.jpg\n"),
        ("m.csv.gz", b'"'),
        ("m.jsonl.gz", b'{"content": "a.jpg", "style": "b.jpg"}\n'),
        ("m.jsonl.gz", b"\n"),
        ("m.jsonl.gz", b"x"),
    ],
)
def test_a_gzip_that_unpacks_to_far_more_than_its_size_is_refused(
    tmp_path: Path, name: str, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "ALWAYS_UNPACKED", 10_000)
    (tmp_path / name).write_bytes(gzip.compress(b"content,style\n" * (".csv" in name) + line * (100_000 // len(line))))
    with pytest.raises(ManifestError, match=r"bytes to unpack to at most [0-9,]+: give it as CSV or JSON Lines"):
        read(tmp_path / name)


def test_what_a_gzip_of_many_rows_unpacks_to_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "ALWAYS_UNPACKED", 0)
    file = write(tmp_path / "m.csv.gz", [{"content": f"{i}.jpg", "style": "b.jpg", "seed": i} for i in range(2000)])
    assert len(read(file).rows) == 2000


def repeated(text: str, times: int) -> pa.Array:
    """A text that is stored once, however often it is there."""
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), times), pa.array([text]))


def long_texts() -> pa.Table:
    return pa.table({"content": repeated("a" * 2**20, 300), "style": repeated("b.jpg", 300)})


def long_texts_within() -> pa.Table:
    within = pa.StructArray.from_arrays([repeated("a" * 2**20, 300)], names=["init"])
    return pa.table({"content": repeated("a.jpg", 300), "style": repeated("b.jpg", 300), "params": within})


def long_list() -> pa.Table:
    sizes = pa.ListArray.from_arrays(pa.array([0, 1_000_000]), pa.repeat(64, 1_000_000))
    return pa.table({"content": ["a.jpg"], "style": ["b.jpg"], "scales": sizes})


def many_rows() -> pa.Table:
    return pa.table({"content": repeated("a.jpg", 3_000_000), "style": repeated("b.jpg", 3_000_000)})


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (long_texts, "a text of 1,048,576 bytes, expected at most 131,072"),
        (long_texts_within, "a text of 1,048,576 bytes, expected at most 131,072"),
        (long_list, "at most 1,000 values in a row of column scales"),
        (many_rows, "to unpack to at most 16,777,216"),
    ],
)
def test_a_parquet_that_would_fill_memory_is_refused(
    tmp_path: Path, table: Callable[[], pa.Table], expected: str
) -> None:
    file = tmp_path / "m.parquet"
    pq.write_table(table(), file, compression="zstd", dictionary_pagesize_limit=2**23, store_schema=False)
    assert file.stat().st_size < 20_000
    tracemalloc.start()
    try:
        with pytest.raises(ManifestError, match=expected):
            read(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30 * 2**20  # of Python; the texts together are 300 MB


def test_one_text_that_is_too_long_concerns_its_row_alone(tmp_path: Path) -> None:
    contents = ["a.jpg", "b" * 200_000, "c.jpg", None, "e.jpg"]
    pq.write_table(pa.table({"content": contents, "style": ["s.jpg"] * 5}), tmp_path / "m.parquet")
    items = list(iter_rows(str(tmp_path / "m.parquet"), encoder_sha256=ENCODER))
    assert [item.number for item in items if isinstance(item, RowProblem)] == [2, 4]
    assert "row 2: expected values that can be read (a text of 200,000 bytes" in str(items[1])
