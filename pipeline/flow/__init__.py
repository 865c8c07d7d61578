"""A whole run from manifest to results, its metrics, what it would cost, and rows that are computed again."""

from pipeline.flow.dataset import Kernel, RunBroken, TooManyFailures, flow
from pipeline.flow.estimate import Bucket, Estimate, Rate, estimate, estimate_rows
from pipeline.flow.retry import estimate_retry, retry
from pipeline.flow.run import check_rows, run, run_rows, run_slices
from pipeline.flow.single import estimate_one, stylize_one

__all__ = [
    "Bucket",
    "Estimate",
    "Kernel",
    "Rate",
    "RunBroken",
    "TooManyFailures",
    "check_rows",
    "estimate",
    "estimate_one",
    "estimate_retry",
    "estimate_rows",
    "flow",
    "retry",
    "run",
    "run_rows",
    "run_slices",
    "stylize_one",
]
