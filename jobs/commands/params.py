"""`nst params`: every style parameter, and the presets."""

import json
from typing import Annotated

import typer

from jobs import completion
from jobs.console import out


def params(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Parameters and presets; all, if none is named.",
            metavar="[NAME...]",
            autocompletion=completion.parameters,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """List style parameters with default, allowed values and meaning, and presets with their sources.

    Example: nst params size style_weight
    """
    from jobs.console import print_params
    from nst_kernel import PARAMETERS, PRESETS
    from nst_kernel.params import ALIASES, known_name

    asked = [ALIASES.get(name, name) for name in names or [*PARAMETERS, *PRESETS]]
    if unknown := [name for name in asked if name not in PARAMETERS and name not in PRESETS]:
        expected = known_name(unknown[0], [*PARAMETERS, *PRESETS], ALIASES)
        raise ValueError(f"there is no parameter or preset {unknown[0]!r}; expected {expected}")
    if not as_json:
        print_params(out, asked)
        return
    parameters = {
        name: {"default": one.default, "expected": one.expected, "meaning": one.described, "choices": one.choices}
        for name, one in PARAMETERS.items()
        if name in asked
    }
    presets = {
        name: {"values": dict(one.values), "source": one.source} for name, one in PRESETS.items() if name in asked
    }
    out.out(json.dumps({"parameters": parameters, "presets": presets}), highlight=False)
