"""Packages whose names are imported at their first use, so that a user of one need not wait for all."""

import importlib
from collections.abc import Callable, Mapping, Sequence


def lazily(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """Return a module-level `__getattr__` (PEP 562) that imports a name from its module at its first use.

    Args:
        package: name of the package whose `__getattr__` it is.
        homes: by the full name of a module, the names that the package offers from it.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def import_name(name: str) -> object:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(home_of[name]), name)

    return import_name
