"""What a job file may say: photo archives, parameter grids, and whole jobs."""
