"""`nst stylize`: one pair, here and now."""

from typing import Annotated

import typer

from jobs.console import out
from jobs.options import Defaults, Settings, Weights, parameters

DIVERGED = 1


def stylize(
    content: Annotated[str, typer.Argument(help="Path or URI of a picture.")],
    style: Annotated[str, typer.Argument(help="Path or URI of a picture.")],
    output: Annotated[str, typer.Option("--output", "-o", help="A .png, .jpg or .webp file.")],
    defaults: Defaults = None,
    settings: Settings = [],
    weights: Weights = "embedded",
) -> None:
    """Stylise one pair, here and now, without Ray.

    Example: nst stylize photo.jpg painting.jpg -o out.png --set size=384 --set style_weight=2
    """
    from rich.markup import escape

    from jobs.console import IterationBar
    from pipeline.flow import stylize_one

    with IterationBar(out) as bar:
        result = stylize_one(
            content,
            style,
            output=output,
            params=parameters(defaults, settings),
            weights=weights,
            on_iteration=bar.update,
        )
    height, width = result.image.shape[:2]
    start, end = result.curve["total"][0], result.losses["total"]
    out.print(
        f"{escape(output)}: {width} x {height} px, loss {start:.4g} → {end:.4g} in {result.iterations} iterations"
        + (" (diverged: this is the best iterate)" if result.diverged else ""),
        highlight=False,
    )
    if result.diverged:
        raise typer.Exit(DIVERGED)
