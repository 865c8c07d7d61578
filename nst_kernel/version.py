"""The version of the algorithm."""

ALGORITHM_VERSION = 4
"""Raised whenever the same request would give another picture: it is part of what makes a result current."""
