"""The consoles that commands write to, and lines that several of them print."""

import logging
import os
import re
import sys
import traceback
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.text import Text


@dataclass(frozen=True)
class Shown:
    """How much a command shows.

    Attributes:
        debug: whether errors come with their tracebacks, and native code may write to the terminal.
        quiet: whether a run shows neither progress nor summary.
    """

    debug: bool = False
    quiet: bool = False


FORMAT_VARIABLE = "NST_LOG_FORMAT"
"""Environment variable with the format of log lines: text, or json."""

WIDE = 10_000
"""Columns of a log or a pipe: lines there are not folded, so that they can be searched."""

# Control characters of C0 and C1, what turns the direction of text or has no width, separators of lines and
# paragraphs, and halves of characters, which stand for bytes of a file's name that are no text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_IN_LINES = re.compile(f"(?![\n\t]){_UNPRINTABLE.pattern}")


def printable(text: str, *, lines: bool = False) -> str:
    """Return a text as a terminal may show it: without secrets of URIs, and with commands to the terminal spelled out.

    Names of files, results, locks, job files and logs are written by others: an escape sequence in one of them could
    clear the screen, set the title of the window, or fake a line.

    Args:
        text: of any origin.
        lines: whether line ends and tabs stay.
    """
    from pipeline.storage import without_secrets  # fsspec comes along, for which `nst --help` need not wait

    pattern = _IN_LINES if lines else _UNPRINTABLE
    return pattern.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), without_secrets(text))


class PrintableConsole(Console):
    """A console that spells out what would command the terminal, in every text that it is given."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert a text as rich does, after spelling out all but line ends and tabs."""
        return super().render_str(printable(text, lines=True), **options)

    def out(self, *objects: Any, **options: Any) -> None:
        """Print objects as rich does, such as JSON, but without secrets of URIs."""
        from pipeline.storage import without_secrets

        super().out(*(without_secrets(one) if isinstance(one, str) else one for one in objects), **options)


class PrintableFormatter(logging.Formatter):
    """A format of log lines, of tracebacks and of other packages too, as a terminal may show them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text, with the line ends of its traceback."""
        return printable(super().format(record), lines=True)


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes log lines to what is standard error at the time: during a run that is another stream than before."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        self.stream = sys.stderr
        super().emit(record)


def console(*, stderr: bool = False) -> Console:
    """Return a console that folds lines for a terminal, or for COLUMNS of the environment, and never in a log."""
    usual = PrintableConsole(stderr=stderr, emoji=False)
    if usual.is_terminal or "COLUMNS" in os.environ:
        return usual
    return PrintableConsole(stderr=stderr, emoji=False, width=WIDE)


def near(uri: str) -> str:
    """Return a path as a person here would write it: relative if it lies below this folder, else as it is."""
    from pipeline import storage

    try:
        here, path = storage.absolute("."), storage.absolute(uri)
    except FileNotFoundError:  # this folder has been deleted, which is no reason to fail at a run's last line
        return uri
    return path.removeprefix(f"{here}/") if path.startswith(f"{here}/") else path


def logs_json() -> bool:
    """Return whether the environment asks for logs as JSON lines, so that standard error has nothing else."""
    return os.environ.get(FORMAT_VARIABLE, "").strip().lower() == "json"


def print_note(console: Console, note: str) -> None:
    """Print what is worth knowing and no error; where logs are JSON lines, log it."""
    if logs_json():
        _log(logging.WARNING, f"{note}.")
        return
    console.print(f"[yellow]Note:[/yellow] {escape(note)}.", highlight=False, soft_wrap=True)


out, err = console(), console(stderr=True)


def complain(err: Console, message: str) -> None:
    """Print what is wrong as one line; where logs are JSON lines, log it."""
    if logs_json():
        _log(logging.ERROR, message)
        return
    err.print(f"[bold red]Error:[/bold red] {escape(message)}", highlight=False, soft_wrap=True)


def remark(err: Console, message: str, *, severity: int = logging.INFO) -> None:
    """Print a line beside what a command is asked for, such as how to go on; where logs are JSON lines, log it.

    Args:
        err: standard error.
        message: the line.
        severity: of the event; a warning is printed as one.
    """
    if logs_json():
        _log(severity, message)
        return
    mark = "[yellow]Warning:[/yellow] " if severity == logging.WARNING else ""
    err.print(f"{mark}{escape(message)}", highlight=False, soft_wrap=True)


def _log(severity: int, message: str) -> None:
    """Log a line of a command."""
    logging.getLogger("nst").log(severity, "%s", message)


def show_traceback(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """Write the traceback of an error to standard error as Python does, but as a terminal may show it.

    Where logs are JSON lines, it is one of them.
    """
    if logs_json():
        logging.getLogger("nst").error("%s: %s", kind.__name__, error, exc_info=(kind, error, where))
        return
    sys.stderr.write(printable("".join(traceback.format_exception(kind, error, where)), lines=True))
