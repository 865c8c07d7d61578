"""Print style parameters, presets and the checks of a weights file as tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from nst_kernel import PARAMETERS, PRESETS
from nst_kernel.params import as_text

if TYPE_CHECKING:  # torch and Ray come along, for which a look at results need not wait
    from nst_kernel.encoder import Check


def print_params(console: Console, names: Collection[str]) -> None:
    """Print style parameters with their defaults, values and meaning, and presets with their sources, by name."""
    wide = [Column(title, overflow="fold") for title in ("default", "values", "meaning")]
    table = Table("parameter", *wide, show_edge=False)
    for name, parameter in PARAMETERS.items():
        if name in names:
            table.add_row(name, as_text(parameter.default), escape(parameter.expected), escape(parameter.described))
    presets = Table("preset", Column("changes", overflow="fold"), Column("source", overflow="fold"), show_edge=False)
    for name, preset in PRESETS.items():
        if name in names:
            changes = ", ".join(f"{parameter}={as_text(value)}" for parameter, value in preset.values.items())
            presets.add_row(name, changes, f"{preset.source}. {preset.remark}." if preset.remark else preset.source)
    for number, each in enumerate(each for each in (table, presets) if each.row_count):
        console.print(*[""] * number, each, sep="\n")


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    """Print each check of a weights file, with what was expected and what it has."""
    table = Table("check", "expected", "found", "", show_edge=False)
    for check in checks:
        table.add_row(
            check.what, check.expected, check.actual, "[green]ok[/green]" if check.ok else "[red]differs[/red]"
        )
    console.print(table)
    intact = all(check.ok for check in checks)
    console.print("These are torchvision's ImageNet weights, intact." if intact else "These are not them, or damaged.")
