"""`nst params`: every style parameter, and the presets."""

import json
from typing import Annotated

import typer

from jobs.console import out


def params(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """List every style parameter with its default, allowed values and meaning, and the presets with their sources.

    Example: nst params
    """
    from jobs.console import print_params
    from nst_kernel import PARAMETERS, PRESETS

    if not as_json:
        print_params(out)
        return
    parameters = {
        name: {"default": one.default, "expected": one.expected, "meaning": one.described, "choices": one.choices}
        for name, one in PARAMETERS.items()
    }
    presets = {name: {"values": dict(one.values), "source": one.source} for name, one in PRESETS.items()}
    out.out(json.dumps({"parameters": parameters, "presets": presets}), highlight=False)
