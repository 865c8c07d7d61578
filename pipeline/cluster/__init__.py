"""Where a run computes: the Ray cluster, its nodes, and the pool of actors."""
