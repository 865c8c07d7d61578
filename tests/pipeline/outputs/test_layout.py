"""The shape of OUTPUT: what runs write is recognised by its place, and nothing else is."""

import io
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import storage
from pipeline.manifest import Row, reader
from pipeline.outputs import layout

OUT = "s3://bucket/out"
RUN = layout.run_folder(OUT, "2026-01-01T000000Z-12345678")


@pytest.mark.parametrize("output", [OUT, RUN])
def test_what_runs_write_is_recognised(output: str) -> None:
    page = layout.report_folder(output)
    written = [
        layout.picture_file(output, "holidays/a.tif.png"),
        layout.part_file(output, "0" * 16),
        layout.merged_file(output, "0" * 16, full=True),
        layout.merged_file(output, "0" * 16, full=False),
        layout.summary_file(output),
        layout.progress_file(output),
        layout.lock_file(output),
        layout.lock_file(layout.ledger_folder(output)),
        layout.attempt_file(output, "optimise-1-2"),
        layout.saved_state_file(output, "0" * 32),
        layout.index_file(output),
        layout.index_part(output, 12),
        f"{page}/{layout.HOME}",
        f"{page}/{layout.DATA}/rows-0.20260101T000000000000Z.js",
        f"{page}/{layout.CODE}/plotly-3.0.1.min.js",
        f"{page}/{layout.THUMBS}/0123456789abcdef0123.webp",
    ]
    assert [uri for uri in written if not layout.is_written_by_runs(OUT, uri)] == []
    assert len(set(written)) == len(written)


def test_what_grids_write_is_recognised() -> None:
    assert layout.is_written_by_runs(OUT, layout.history_file(OUT, "2026-01-01T000000Z-12345678-again"))
    assert layout.is_written_by_runs(f"{OUT}/", layout.latest_file(OUT))


@pytest.mark.parametrize(
    "uri",
    [OUT, f"{OUT}/notes.txt", f"{OUT}/images", f"{OUT}/results/mine.parquet", f"{OUT}/runs/a/notes.txt",
     f"{OUT}-2/images/a.png", f"{OUT}/history/latest.json/a", "s3://bucket/images/a.png"],
)  # fmt: skip
def test_what_else_lies_there_is_not(uri: str) -> None:
    assert not layout.is_written_by_runs(OUT, uri)


def test_only_full_files_are_called_full() -> None:
    assert layout.is_full(layout.merged_file(OUT, "1", full=True))
    assert not layout.is_full(layout.merged_file(OUT, "1", full=False))
    assert not layout.is_full(layout.part_file(OUT, "1"))


def a_run_into(output: str) -> list[str]:
    """The files that a run leaves, but for its pictures and its page."""
    return [
        layout.part_file(output, "1" * 16),
        layout.merged_file(output, "2" * 16, full=True),
        layout.merged_file(output, "3" * 16, full=False),
        layout.index_file(output),
        layout.summary_file(output),
        layout.progress_file(output),
        layout.lock_file(output),
    ]


def plant(files: Iterable[str]) -> None:
    for file in files:
        storage.write_bytes(file, b"rows of results")


@pytest.fixture(params=["file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder with a manifest of one row."""
    folder = str(tmp_path / "jobs") if request.param == "file" else f"memory:/{tmp_path}/jobs"
    storage.write_bytes(f"{folder}/rows.csv", b"content,style\na.png,b.png\n")
    return folder


def rows_of(folder: str) -> list[str]:
    """What is read in a folder of manifests: files of rows, and problems in words."""
    items = list(reader.iter_rows(folder, encoder_sha256="e"))
    return [item.file.rpartition("/")[2] if isinstance(item, Row) else str(item) for item in items]


def test_what_runs_have_left_below_is_no_manifest(folder: str) -> None:
    for number, file in enumerate(a_run_into(f"{folder}/out")):
        plant([file])
        if number < 3:  # one of them is enough to tell an output
            assert rows_of(folder) == ["rows.csv"]
    plant(a_run_into(layout.run_folder(f"{folder}/nested/grid", "2026-01-01T000000Z-12345678")))
    plant([f"{folder}/out/images/a.csv", f"{folder}/out/report/rows.jsonl", f"{folder}/out/failed-again.jsonl"])
    assert rows_of(folder) == ["rows.csv"]


def test_an_archive_that_has_only_begun_is_an_output(folder: str) -> None:
    output = f"{folder}/stylised"
    plant([layout.index_file(output), layout.lock_file(layout.ledger_folder(output))])
    assert rows_of(folder) == ["rows.csv"]


def test_a_folder_of_manifests_may_be_the_output_itself(folder: str) -> None:
    plant(a_run_into(folder))
    assert rows_of(folder) == ["rows.csv"]
    assert rows_of(f"{folder}/") == ["rows.csv"]
    assert "none of a run's own files" in rows_of(layout.results_folder(folder))[0]


def test_names_like_those_of_runs_are_manifests_where_there_was_no_run(folder: str) -> None:
    table = pa.table({"content": ["a.png"], "style": ["b.png"], "size": [77]})
    for number, name in enumerate(("index.parquet", "results/part-2026.parquet", "part-1.parquet", "runs/a/b.parquet")):
        buffer = io.BytesIO()
        pq.write_table(table.set_column(2, "size", pa.array([100 + number])), buffer)
        storage.write_bytes(f"{folder}/{name}", buffer.getvalue())
    assert sorted(rows_of(folder)) == ["b.parquet", "index.parquet", "part-1.parquet", "part-2026.parquet", "rows.csv"]
