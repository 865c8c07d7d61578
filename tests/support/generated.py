"""Sections of Markdown files that are made from the code or from measured figures, and checked against drift.

A section stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`. `make readmes` writes all of them anew.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

WRITE = "NST_WRITE_READMES"
"""Environment variable: 1 writes sections anew instead of comparing them."""


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; `|` in a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def check_section(file: Path, name: str, text: str) -> None:
    """Compare a generated section of a Markdown file with what it should be, or write it anew.

    Args:
        file: the Markdown file.
        name: of the section.
        text: what the section should hold, without its markers.

    Raises:
        AssertionError: if the section is missing or differs; the message says which command mends it.
    """
    begin, end = f"<!-- generated: {name} -->", f"<!-- end of {name} -->"
    whole = file.read_text("utf-8")
    before, has_begin, rest = whole.partition(begin)
    section, has_end, after = rest.partition(end)
    assert has_begin, f"{file.name}: expected a section between {begin} and {end}"
    assert has_end, f"{file.name}: expected {end} behind {begin}"
    wanted = f"\n{text.strip()}\n"
    if os.environ.get(WRITE) == "1":
        file.write_text(f"{before}{begin}{wanted}{end}{after}", encoding="utf-8")
        return
    assert section == wanted, f"{file.name}, section {name}, is out of date: run `make readmes`"


def check_file(file: Path, text: str, *, command: str) -> None:
    """Compare a generated file with what it should hold, or write it anew, as `check_section` does with sections.

    Raises:
        AssertionError: if it differs; the message says which command mends it.
    """
    if os.environ.get(WRITE) == "1":
        file.write_text(text, encoding="utf-8")
        return
    assert (file.read_text("utf-8") if file.exists() else "") == text, f"{file.name} is out of date: run `{command}`"
