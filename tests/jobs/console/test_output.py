"""Foreign text on the terminal: nothing in it commands the terminal, hides, or fakes a line."""

import io
import json
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.markup import escape
from rich.table import Table

from jobs.console.output import PrintableConsole, PrintableFormatter, complain, near, printable, show_traceback

HOSTILE = "x\x1b]0;title\x07\x1b[2J\x9b31m\rfake\x00\u202egpj.exe\u2066\u2028\udcff.jpg"
COMMANDS = set(map(chr, [*range(9), *range(11, 32), *range(127, 160)])) | set("\u202e\u2066\u2028\udcff")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 写真.jpg Größe “x” 🎨 a\u00a0b क्‍ष", "plain 写真.jpg Größe “x” 🎨 a\u00a0b क्‍ष"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\x9bb", r"a\x9bb"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("\udcff.jpg", r"\udcff.jpg"),
        ("one\ntwo\t3\r", r"one\ntwo\t3\r"),
    ],
)
def test_what_commands_the_terminal_is_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_text_of_lines_keeps_them() -> None:
    assert printable("one\n\ttwo\r\n\x1b[31m", lines=True) == "one\n\ttwo\\r\n\\x1b[31m"


@given(st.text(), st.booleans())
def test_nothing_is_left_and_twice_is_once(text: str, lines: bool) -> None:
    shown = printable(text, lines=lines)
    assert not COMMANDS & set(shown)
    assert lines or not {"\n", "\t"} & set(shown)
    assert printable(shown, lines=lines) == shown
    shown.encode()


def test_a_console_prints_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    written = io.StringIO()
    console = PrintableConsole(file=written, width=400, force_terminal=True, color_system=None, emoji=False)
    table = Table("id", HOSTILE)
    table.add_row(escape(HOSTILE), "[bold]markup[/bold]")
    console.print(table)
    console.print(HOSTILE, markup=False, soft_wrap=True)
    console.print(f"[bold]{escape(HOSTILE)}[/bold]")
    console.out(HOSTILE)
    complain(console, f"cannot read {HOSTILE}")
    text = written.getvalue()
    assert text.count(r"\x1b]0;title\x07\x1b[2J\x9b31m\rfake\x00\u202egpj.exe\u2066\u2028\udcff.jpg") == 6
    assert not COMMANDS & set(text)
    assert "markup" in text
    assert "[bold]" not in text


def test_log_lines_are_printable() -> None:
    record = logging.LogRecord("n", logging.ERROR, "f", 1, "cannot read %s\n  twice", (HOSTILE,), None)
    line = PrintableFormatter("%(message)s").format(record)
    assert line.startswith(r"cannot read x\x1b]0;title")
    assert line.endswith("\n  twice")
    assert not COMMANDS & set(line)


SECRET = "https://me:CANARY@host/a.png?x=1&X-Amz-Signature=CANARY"


def test_log_lines_and_tracebacks_have_no_secrets_whoever_writes_them(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError(f"no answer from {SECRET}")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "cannot read %s", (SECRET,), sys.exc_info())
        show_traceback(type(error), error, error.__traceback__)
    line, shown = PrintableFormatter("%(message)s").format(record), capsys.readouterr().err
    assert "cannot read https://host/a.png?x=1" in line
    assert all("ValueError: no answer from https://host/a.png?x=1" in text for text in (line, shown))
    assert "CANARY" not in line + shown


def test_a_console_prints_no_secrets_in_text_tables_or_json() -> None:
    console = PrintableConsole(file=io.StringIO(), width=200)
    table = Table("uri")
    table.add_row(escape(SECRET))
    console.print(table)
    console.print(SECRET, markup=False, soft_wrap=True)
    complain(console, f"cannot read {SECRET}")
    console.out(json.dumps({"uri": SECRET}), highlight=False)
    assert isinstance(console.file, io.StringIO)
    assert "CANARY" not in console.file.getvalue()
    assert console.file.getvalue().count("https://host/a.png?x=1") == 4


def test_a_folder_that_has_been_deleted_does_not_break_what_is_printed_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray may delete the folder of a job that has travelled to a cluster."""
    (here := tmp_path / "travelled").mkdir()
    monkeypatch.chdir(here)
    assert near(f"{here}/out") == "out"
    here.rmdir()
    assert near("/elsewhere/out") == "/elsewhere/out"
    assert near("out") == "out"
