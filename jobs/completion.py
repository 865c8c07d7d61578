"""What a shell may complete: names and values of parameters, columns of results, statuses."""

from collections.abc import Iterator


def settings(incomplete: str) -> list[str]:
    """Return words for --set: names of parameters with `=` behind them, or values of one that has a few."""
    from nst_kernel.params import ALIASES, PARAMETERS

    name, equals, value = incomplete.partition("=")
    if not equals:
        return [f"{known}=" for known in (*PARAMETERS, *ALIASES) if known.startswith(name)]
    own = ALIASES.get(name, name)
    return [f"{name}={word}" for word in _values(own) if word.startswith(value)]


def parameters(incomplete: str) -> list[str]:
    """Return names of parameters and presets."""
    from nst_kernel.params import ALIASES, PARAMETERS, PRESETS

    return [known for known in (*PARAMETERS, *ALIASES, *PRESETS) if known.startswith(incomplete)]


def _values(name: str) -> Iterator[str]:
    """Yield the values of a parameter that has a few."""
    from nst_kernel.params import PARAMETERS, PRESETS

    if name == "preset":
        yield from PRESETS
    elif name in PARAMETERS:
        yield from PARAMETERS[name].choices


def statuses(incomplete: str) -> list[str]:
    """Return the statuses that rows may have."""
    from pipeline.outputs import STATUSES

    return [status for status in STATUSES if status.startswith(incomplete)]


def columns(incomplete: str) -> list[str]:
    """Return names of columns and parameters, after the last comma of what is there."""
    from nst_kernel.params import PARAMETERS
    from pipeline.outputs import SCHEMA

    before, comma, begun = incomplete.rpartition(",")
    begun, minus = begun.removeprefix("-"), "-" if begun.startswith("-") else ""
    return [f"{before}{comma}{minus}{name}" for name in (*SCHEMA.names, *PARAMETERS) if name.startswith(begun)]
