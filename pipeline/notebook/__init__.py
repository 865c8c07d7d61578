"""Runs, plans, results and comparisons in a notebook."""
