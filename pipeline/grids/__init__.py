"""Parameter grids: their rows, and the history of their runs."""

from pipeline.grids.expand import Expansion, expand
from pipeline.grids.history import grid_of, run_grid

__all__ = [
    "Expansion",
    "expand",
    "grid_of",
    "run_grid",
]
