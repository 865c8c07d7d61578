"""Where commands write to."""

import os

from rich.console import Console
from rich.markup import escape

WIDE = 10_000
"""Columns of what is no terminal: a log, a pipe. Lines there are whole, so that they can be searched."""


def console(*, stderr: bool = False) -> Console:
    """One that folds lines where there is a window to fold them for: a terminal, or COLUMNS in the environment."""
    found = Console(stderr=stderr)
    return found if found.is_terminal or "COLUMNS" in os.environ else Console(stderr=stderr, width=WIDE)


def counted(count: int, word: str) -> str:
    """So many of something: 1 row, 2 rows, 1,000 batches."""
    return f"{count:,} {word}" + ("" if count == 1 else "es" if word.endswith("ch") else "s")


out, err = console(), console(stderr=True)


def complain(err: Console, message: str) -> None:
    """Say what is wrong, in one line."""
    err.print(f"[bold red]Error:[/bold red] {escape(message)}", highlight=False, soft_wrap=True)
