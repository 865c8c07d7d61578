"""The tables of nst_kernel/README.md, made from the declarations."""

from nst_kernel.params import PARAMETERS, PRESETS, Parameter, as_text
from nst_kernel.params.presets import Preset
from tests.support import REPOSITORY
from tests.support.generated import check_section, table

README = REPOSITORY / "nst_kernel" / "README.md"


def decides(parameter: Parameter) -> str:
    """Return in words what a parameter's flags say."""
    conditional = parameter.graph if isinstance(parameter.graph, str) else ""
    batch = f"batch if {conditional}" if conditional else "batch" if parameter.graph else ""
    return ", ".join(filter(None, [batch, "loss" if parameter.loss else ""]))


def test_the_readme_lists_every_parameter() -> None:
    rows = [(f"`{name}`", as_text(p.default), p.unit, p.expected, p.doc, decides(p)) for name, p in PARAMETERS.items()]
    header = ("parameter", "default", "unit", "values", "meaning", "decides")
    check_section(README, "parameters", table(header, rows))


def told(preset: Preset) -> str:
    """Return where a preset comes from, and what it gives."""
    return f"{preset.source}. {preset.remark}." if preset.remark else preset.source


def test_the_readme_lists_every_preset() -> None:
    rows = [
        (f"`{name}`", ", ".join(f"`{key}={as_text(value)}`" for key, value in preset.values.items()), told(preset))
        for name, preset in PRESETS.items()
    ]
    check_section(README, "presets", table(("preset", "values", "source"), rows))
