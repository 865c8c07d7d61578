"""The version of the algorithm."""

ALGORITHM_VERSION = 5
"""Raised whenever the same request would give another picture: it is part of what makes a result current."""
