"""`nst stylize`: one pair, here and now."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands import _job
from jobs.console import print_note
from jobs.exit_codes import ExitCode, explains_exit_codes
from jobs.options import ACCESS, DECODING, Costs, DryRun, Parameters, run_options, takes
from jobs.runner import Terminal
from pipeline.words import counted

if TYPE_CHECKING:
    from rich.console import Console

    from nst_kernel import StylizeResult

ContentMask = Annotated[
    list[str], typer.Option(help="Regions: a picture of labels, or a grey picture for each, the option once for each.")
]
StyleMask = Annotated[
    list[str], typer.Option(help="Where the styles have the regions: labels for each style, or grey pictures.")
]


@takes(run_options(only=("weights", "depth", "color_profile", *ACCESS, *DECODING)))
@explains_exit_codes("stylize")
def stylize(
    ctx: typer.Context,
    content: Annotated[str, typer.Argument(help="Path or URI of a picture.")],
    style: Annotated[str, typer.Argument(help="A picture, several with | between them, or FOLDER/.")],
    output: Annotated[str, typer.Option("--output", "-o", help="A .png, .jpg, .webp, .tif or .avif file.")],
    given: dict[str, Any],
    parameters: Parameters,
    costs: Costs,
    dry_run: DryRun = False,
    content_mask: ContentMask = [],
    style_mask: StyleMask = [],
) -> None:
    """Stylise one pair, here and now, without Ray.

    --rate, --price and --json are for --dry-run.

    Example: nst stylize photo.jpg painting.jpg -o out.png --set size=384 --set style_weight=2
    """
    from jobs.console import IterationBar
    from nst_kernel import StyleParams
    from pipeline.flow import estimate_one, stylize_one
    from pipeline.options import run_options as options_from

    params, options = dict(parameters.chosen.values), options_from(**given)
    masks = {"content_mask": "|".join(content_mask), "style_mask": "|".join(style_mask)}
    params = {**params, **{role: uris for role, uris in masks.items() if uris}}
    if dry_run:
        pair = estimate_one(content, style, output=output, params=params, options=options, rate=costs.rate)
        _job.show(pair, costs)
    _job.check_for_plans(costs)
    out = Terminal.of(ctx.obj).out
    for remark in _job.remarks([StyleParams.of(params)], options):
        print_note(out, remark)
    with IterationBar(out) as bar:
        result = stylize_one(content, style, output=output, params=params, options=options, on_iteration=bar.update)
    _print_end(out, output, result)
    if result.diverged:
        raise typer.Exit(ExitCode.PROBLEMS)


def _print_end(out: "Console", output: str, result: "StylizeResult") -> None:
    """Print what has become of a pair."""
    from rich.markup import escape

    height, width = result.image.shape[:2]
    start, end = result.curve["total"][0], result.losses["total"]
    out.print(
        f"{escape(output)}: {width} x {height} px, loss {start:.4g} → {end:.4g} "
        f"in {counted(result.iterations, 'iteration')}"
        + (" (diverged: this is the best iterate)" if result.diverged else ""),
        highlight=False,
    )
    if not result.improved:
        from pipeline.stages import UNIMPROVED

        print_note(out, UNIMPROVED)
