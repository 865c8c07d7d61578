"""Other names of parameters."""

import types
from collections.abc import Mapping

ALIASES: Mapping[str, str] = types.MappingProxyType({"alpha": "content_weight", "beta": "style_weight"})
"""Parameters by the names that the paper has for them."""

OPACITY = ("white", "keep")
"""Values of `transparency`, which other programs call alpha; in numbers that name is the paper's."""


def by_name(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values that are given by the parameters' own names."""
    return {own_name(name, value): value for name, value in values.items() if value is not None}


def own_name(name: str, value: object) -> str:
    """Return the name of the parameter that a value is given for."""
    return "transparency" if name == "alpha" and value in OPACITY else ALIASES.get(name, name)
