"""`nst weights`: files of VGG-19 weights."""

import dataclasses
import json
from typing import Annotated, Any

import typer

from jobs.console import out
from jobs.exit_codes import ExitCode, explains_exit_codes
from jobs.options import ACCESS, run_options, takes

app = typer.Typer(no_args_is_help=True)


@app.callback()
def weights() -> None:
    """Look at files of VGG-19 weights."""


@app.command("check")
@takes(run_options(only=ACCESS))
@explains_exit_codes("weights check")
def check(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="Path or URI of a .pth or .safetensors file.")],
    given: dict[str, Any],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Tell whether a file holds torchvision's ImageNet weights, intact, by its hash and its activations; or our own.

    Example: nst weights check vgg19-dcbb9e9d.pth
    """
    from jobs.console import print_checks
    from nst_kernel import check_imagenet
    from nst_kernel.encoder import is_embedded
    from pipeline import storage

    data = storage.read_bytes(file)
    if is_embedded(data):
        checks = []
    else:
        checks = list(check_imagenet(data, name=storage.without_query(file).rpartition("/")[2]))
    intact = all(check.ok for check in checks)
    if as_json:
        kind = ("imagenet" if intact else None) if checks else "embedded"
        outcome = {"weights": kind, "checks": [dataclasses.asdict(check) for check in checks]}
        out.out(json.dumps(outcome), highlight=False)
    elif checks:
        print_checks(out, checks)
    else:
        out.print("This is the embedded encoder, intact: --weights embedded needs no file.", highlight=False)
    if not intact:
        raise typer.Exit(ExitCode.PROBLEMS)
