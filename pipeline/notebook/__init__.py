"""Runs, plans, results and comparisons in a notebook."""

from pipeline.comparison import compare
from pipeline.notebook.api import plan, results, run

__all__ = [
    "compare",
    "plan",
    "results",
    "run",
]
