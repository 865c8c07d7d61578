"""What must survive a crash: attempts, poison rows, the run lock, saved states."""
