"""Turn values into text for tables and into JSON."""

from __future__ import annotations

import math


def jsonable(value: object) -> object:
    """Return a value with null for NaN and infinities, which JSON cannot express."""
    if isinstance(value, dict):
        return {key: jsonable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_text(value: object) -> str:
    """Return a value as text; of a tuple, its parts with commas."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
