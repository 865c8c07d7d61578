"""Where commands write to."""

from rich.console import Console

out, err = Console(), Console(stderr=True)
