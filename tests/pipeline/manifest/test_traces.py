"""Traces that rows are a part of: a column of a manifest, which decides nothing about the picture."""

from pathlib import Path

import pytest

from pipeline.manifest import ManifestError, Row, Rows
from pipeline.manifest.reader import read_manifest

TRACE = f"00-{'c' * 32}-{'d' * 16}-01"
OTHER = f"00-{'e' * 32}-{'f' * 16}-00"


def rows_of(folder: Path, *lines: str) -> list[Row]:
    file = folder / "rows.csv"
    file.write_text("\n".join(("content,style,seed,traceparent", *lines)) + "\n")
    return list(read_manifest(str(file), encoder_sha256="x", defaults={}).rows)


def test_each_row_has_the_trace_that_it_was_given(tmp_path: Path) -> None:
    """Also where all else is as in a row before, of which most is taken at sight."""
    lines = ["a.png,s.png,1,", f"b.png,s.png,2,{TRACE}", f"c.png,s.png,3,{OTHER}", "d.png,s.png,4,"]
    rows = rows_of(tmp_path, *lines, f"e.png,s.png,5,{TRACE}")
    assert [row.traceparent for row in rows] == [None, TRACE, OTHER, None, TRACE]
    assert [row.traceparent for row in Rows.of(rows)] == [None, TRACE, OTHER, None, TRACE]


def test_it_decides_nothing_about_the_picture(tmp_path: Path) -> None:
    (without,) = rows_of(tmp_path, "a.png,s.png,1,")
    (traced,) = rows_of(tmp_path, f"a.png,s.png,1,{TRACE}")
    assert (without.id, without.output) == (traced.id, traced.output)


@pytest.mark.parametrize("wrong", ["x", f"00-{'0' * 32}-{'d' * 16}-01", f"00-{'c' * 32}-{'0' * 16}-01", TRACE[:-3]])
def test_what_is_no_trace_is_a_problem(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as refused:
        rows_of(tmp_path, "a.png,s.png,1,", f"b.png,s.png,2,{wrong}")
    (problem,) = refused.value.problems
    assert (problem.number, problem.column) == (3, "traceparent")
    assert "a trace context as W3C writes it" in problem.expected
