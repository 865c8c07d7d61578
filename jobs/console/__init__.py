"""What a terminal shows: lines, tables and progress."""

from jobs.console.estimate import print_estimate
from jobs.console.native_stderr import native_stderr_hidden
from jobs.console.output import (
    PrintableFormatter,
    complain,
    counted,
    err,
    out,
    print_note,
    printable,
    show_traceback,
)
from jobs.console.progress import IterationBar, LiveProgress, clock, describe
from jobs.console.results import print_results, print_summary
from jobs.console.tables import print_checks, print_params

__all__ = [
    "IterationBar",
    "LiveProgress",
    "PrintableFormatter",
    "clock",
    "complain",
    "counted",
    "describe",
    "err",
    "native_stderr_hidden",
    "out",
    "print_checks",
    "print_estimate",
    "print_note",
    "print_params",
    "print_results",
    "print_summary",
    "printable",
    "show_traceback",
]
