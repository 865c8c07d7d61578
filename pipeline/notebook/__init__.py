"""Runs, plans, results and comparisons in a notebook."""

from pipeline.notebook.api import plan, results, run

__all__ = [
    "plan",
    "results",
    "run",
]
