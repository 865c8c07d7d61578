"""The problems that the README of manifests shows, as the reader words them."""

from pathlib import Path

from pipeline.manifest import RowProblem, iter_rows
from tests.support import REPOSITORY

ROWS = "content,stlye,style,size\na.png,,b.png,\na.png,,b.png,big\n,,,64\n"


def test_the_readme_shows_problems_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    items = iter_rows(str(tmp_path / "rows.csv"), encoder_sha256="e")
    problems = [str(item).replace(f"{tmp_path}/", "") for item in items if isinstance(item, RowProblem)]
    text = (REPOSITORY / "pipeline" / "manifest" / "README.md").read_text("utf-8")
    shown = text.partition("was expected, such as\n\n```\n")[2].partition("```")[0].splitlines()
    assert len(shown) == 3
    assert set(shown) <= set(problems)
