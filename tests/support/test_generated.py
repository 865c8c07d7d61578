"""Generated sections are compared, and written anew on request."""

from pathlib import Path

import pytest

from tests.support.generated import WRITE, check_section, table


def test_a_section_is_written_once_and_then_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "README.md"
    file.write_text("above\n<!-- generated: x -->\nold\n<!-- end of x -->\nbelow\n", encoding="utf-8")
    monkeypatch.delenv(WRITE, raising=False)
    with pytest.raises(AssertionError, match="section x, is out of date: run `make readmes`"):
        check_section(file, "x", "new")
    monkeypatch.setenv(WRITE, "1")
    check_section(file, "x", "new")
    assert file.read_text("utf-8") == "above\n<!-- generated: x -->\nnew\n<!-- end of x -->\nbelow\n"
    monkeypatch.delenv(WRITE)
    check_section(file, "x", "new")
    with pytest.raises(AssertionError, match="expected a section"):
        check_section(file, "y", "new")


def test_a_table_escapes_its_own_sign() -> None:
    assert table(["a"], [["x | y"]]) == "| a |\n| --- |\n| x \\| y |"
