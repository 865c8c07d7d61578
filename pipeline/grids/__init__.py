"""Parameter grids: their rows, and the history of their runs."""

from typing import TYPE_CHECKING

from nst_kernel.lazy import lazily
from pipeline.grids.expand import Expansion, expand

if TYPE_CHECKING:  # Ray comes along
    from pipeline.grids.history import grid_of, run_at_work, run_grid

__all__ = [
    "Expansion",
    "expand",
    "grid_of",
    "run_at_work",
    "run_grid",
]

__getattr__ = lazily(__name__, {"pipeline.grids.history": ("grid_of", "run_at_work", "run_grid")})
