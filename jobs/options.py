"""Options that several commands share."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

Weights = Annotated[
    str,
    typer.Option(
        help="embedded, imagenet, or the path or URI of a .pth or .safetensors file; "
        "#sha256=… behind it is the digest it must have.",
    ),
]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="A style parameter for rows that do not give it.")
]
Defaults = Annotated[Path | None, typer.Option(help="A JSON file of style parameters for rows that do not give them.")]

NumActors = Annotated[
    int | None, typer.Option(min=1, help="Encoders at work; by default one per GPU, or per CPU without GPUs.")
]
MinActors = Annotated[
    int | None, typer.Option(min=1, help="Instead of a fixed number: a pool that grows with its work, from so many on.")
]
MaxActors = Annotated[
    int | None, typer.Option(min=1, help="Up to so many, on nodes that join later too; by default one per device now.")
]
ActorsPerGpu = Annotated[int | None, typer.Option(min=1, help="Encoders that share a GPU; by default one.")]
Device = Annotated[
    Literal["auto", "gpu", "cpu"],
    typer.Option(help="What encoders compute on. auto: GPUs alone if there are any; CPU nodes then read and write."),
]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Pairs optimised together, at most; by default what suits memory and device.")
]
RowTimeout = Annotated[
    float | None, typer.Option(min=0, help="Seconds that a row may be optimised, or it fails; by default any number.")
]
MaxAttempts = Annotated[
    int, typer.Option(min=1, help="Deaths of its process after which a row is quarantined: left alone until nst retry.")
]
StallTimeout = Annotated[
    float, typer.Option(min=0.1, help="Seconds without a sign of life after which a process at work on rows is ended.")
]
MaxFailures = Annotated[
    str | None,
    typer.Option(
        metavar="N|P%", help="Stop, with exit code 3, once more rows failed: so many, or a share of those to do."
    ),
]
Force = Annotated[bool, typer.Option(help="Take the lock of the output from another run, which is dead for certain.")]
Overwrite = Annotated[bool, typer.Option(help="Compute rows again that are done.")]
WithReport = Annotated[
    bool, typer.Option("--report/--no-report", help="Make the report at the end, in OUTPUT/report/.")
]

_EXAMPLE = '{"size": 512}'


def parameters(defaults: Path | None, settings: list[str]) -> dict[str, object]:
    """Style parameters from a JSON file and KEY=VALUE words, the latter first in rank.

    Raises:
        ValueError: for a file that is no JSON object, a word without `=`, or values that cannot be used, every one of
            them by the option that gave it.
    """
    from nst_kernel import StyleParams
    from nst_kernel.params import ALIASES, ParamError

    given: dict[str, object] = {}
    if defaults:
        try:
            given = json.loads(defaults.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"--defaults {defaults}: {error}. Expected a JSON file such as {_EXAMPLE}") from error
        if not isinstance(given, dict):
            raise ValueError(f"--defaults {defaults}: expected a JSON object such as {_EXAMPLE}")
    options = {ALIASES.get(name, name): f"--defaults {defaults}: " for name in given}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals:
            raise ValueError(f"--set {setting}: expected KEY=VALUE, such as size=512")
        given[key] = value
        options[ALIASES.get(key, key)] = "--set "
    try:
        StyleParams.of({}, defaults=given)
    except ParamError as error:
        raise ValueError("; ".join(f"{options.get(p.name, '')}{p}" for p in error.problems)) from None
    return given
