"""Two runs compared, row by row."""
