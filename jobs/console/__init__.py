"""What a terminal shows: lines, tables and progress."""
