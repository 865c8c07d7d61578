"""Record a terminal: commands that were typed, and what stays on the screen of what they wrote."""

import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 96
"""Columns of the recorded terminal."""

_PARTS = re.compile(r"\x1b\[\??[\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+")


def recording(commands: Sequence[str], *, folder: Path = Path()) -> str:
    """Return an SVG of a terminal in which commands were typed, with what is left on its screen of what each wrote.

    Args:
        commands: of `nst`, as they are typed.
        folder: in which they are typed.

    Raises:
        CalledProcessError: if one of them fails.
    """
    terminal = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True)
    of_terminal = {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    for command in commands:
        terminal.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        done = subprocess.run(
            words_of(command),
            cwd=folder,
            env=environment() | of_terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=True,
        )
        # As bytes: of text, Python would make a new line of each return to a line's beginning.
        terminal.print(Text.from_ansi(left_on_screen(done.stdout.decode())))
        terminal.print()
    # A picture asks nobody for its fonts.
    return re.sub(r"@font-face \{.*?\}", "", terminal.export_svg(title="nst"), flags=re.DOTALL)


def words_of(command: str) -> list[str]:
    """Return what starts a command of `nst` that was typed."""
    return [sys.executable, "-m", "jobs.cli", *shlex.split(command)[1:]]


def environment() -> dict[str, str]:
    """Return the variables of a command that is typed in another folder: what this process may import, it may too."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    return inherited | {"PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path)}


def left_on_screen(written: str) -> str:
    """Return the lines that a terminal shows in the end, with their colours, but without the empty ones around them.

    Of what moves the cursor it knows what progress displays use: up by lines, to a line's beginning, and a line erased.
    """
    lines, at = [""], 0
    for part in _PARTS.findall(written):
        if part == "\n":
            at += 1
            lines += [""] * (at == len(lines))
        elif part.startswith("\x1b") and part.endswith("A"):
            at = max(0, at - int(part[2:-1] or 1))
        elif part.startswith("\x1b") and part.endswith("K"):
            lines[at] = ""
        elif part != "\r" and (not part.startswith("\x1b") or part.endswith("m")):
            lines[at] += part
    return "\n".join(lines).strip("\n")
