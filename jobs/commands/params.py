"""`nst params`."""

from jobs.console import out


def params() -> None:
    """List every style parameter with its default and meaning, and the presets with their sources.

    Example: nst params
    """
    from jobs.console import print_params

    print_params(out)
