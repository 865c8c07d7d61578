"""Parameter grids: their rows, and the history of their runs."""
