"""Two runs compared, row by row."""

from pipeline.comparison.compare import Change, Comparison, Thresholds, compare
from pipeline.comparison.pairing import Pairing
from pipeline.comparison.pictures import similarity_of

__all__ = [
    "Change",
    "Comparison",
    "Pairing",
    "Thresholds",
    "compare",
    "similarity_of",
]
