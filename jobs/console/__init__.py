"""What a terminal shows and a log gets: lines, tables, progress, and events as JSON.

Tables of results and estimates load pyarrow and more; they come when they are used.
"""

from typing import TYPE_CHECKING

from jobs.console.frames import go_without_pandas
from jobs.console.output import (
    FORMAT_VARIABLE,
    PrintableFormatter,
    Shown,
    StderrHandler,
    complain,
    err,
    logs_json,
    near,
    out,
    print_note,
    printable,
    remark,
    show_traceback,
)
from nst_kernel.lazy import lazily

if TYPE_CHECKING:
    from jobs.console.estimate import print_estimate
    from jobs.console.progress import IterationBar, LiveProgress, clock, describe
    from jobs.console.result_table import RESULT_SOURCES
    from jobs.console.results import print_results, print_summary
    from jobs.console.tables import print_checks, print_params

__all__ = [
    "FORMAT_VARIABLE",
    "RESULT_SOURCES",
    "IterationBar",
    "LiveProgress",
    "PrintableFormatter",
    "Shown",
    "StderrHandler",
    "clock",
    "complain",
    "describe",
    "err",
    "go_without_pandas",
    "logs_json",
    "near",
    "out",
    "print_checks",
    "print_estimate",
    "print_note",
    "print_params",
    "print_results",
    "print_summary",
    "printable",
    "remark",
    "show_traceback",
]

__getattr__ = lazily(
    __name__,
    {
        "jobs.console.estimate": ("print_estimate",),
        "jobs.console.progress": ("IterationBar", "LiveProgress", "clock", "describe"),
        "jobs.console.result_table": ("RESULT_SOURCES",),
        "jobs.console.results": ("print_results", "print_summary"),
        "jobs.console.tables": ("print_checks", "print_params"),
    },
)
