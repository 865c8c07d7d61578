"""The consoles that commands write to, and lines that several of them print."""

import os

from rich.console import Console
from rich.markup import escape

WIDE = 10_000
"""Columns of a log or a pipe: lines there are not folded, so that they can be searched."""


def console(*, stderr: bool = False) -> Console:
    """Return a console that folds lines for a terminal, or for COLUMNS of the environment, and never in a log."""
    usual = Console(stderr=stderr)
    return usual if usual.is_terminal or "COLUMNS" in os.environ else Console(stderr=stderr, width=WIDE)


def counted(count: int, word: str) -> str:
    """Return a count with its noun: 1 row, 2 rows, 1,000 batches."""
    return f"{count:,} {word}" + ("" if count == 1 else "es" if word.endswith("ch") else "s")


out, err = console(), console(stderr=True)


def complain(err: Console, message: str) -> None:
    """Print what is wrong as one line."""
    err.print(f"[bold red]Error:[/bold red] {escape(message)}", highlight=False, soft_wrap=True)
