"""A whole run from manifest to results, and what it would cost."""
