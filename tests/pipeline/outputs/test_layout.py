"""The shape of OUTPUT: what runs write is recognised by its place, and nothing else is."""

from pathlib import Path

import pytest

from pipeline.manifest import reader
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
        f"{page}/{layout.HOME}",
        f"{page}/{layout.DATA}/rows-0.20260101T000000000000Z.js",
        f"{page}/{layout.CODE}/plotly-3.0.1.min.js",
        f"{page}/{layout.THUMBS}/0123456789abcdef0123.webp",
    ]
    assert [uri for uri in written if not layout.is_written_by_runs(OUT, uri)] == []
    assert len(set(written)) == len(written)


def test_what_grids_write_is_recognised() -> None:
    assert layout.is_written_by_runs(OUT, layout.history_file(OUT, "a"))
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


def test_a_folder_of_manifests_may_hold_an_output(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("content,style\na.png,b.png\n")
    output = str(tmp_path / "out")
    for file in (
        layout.part_file(output, "1"),
        layout.merged_file(output, "1", full=True),
        layout.merged_file(output, "1", full=False),
    ):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_bytes(b"rows of results")
    items = list(reader.iter_rows(str(tmp_path), encoder_sha256="e"))
    assert [type(item) for item in items] == [reader.Row]
