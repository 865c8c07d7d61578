"""The manual of `nst` lists every command."""

import re

import typer

from jobs.cli import app
from tests.support import REPOSITORY


def test_the_manual_lists_every_command() -> None:
    text = (REPOSITORY / "jobs" / "README.md").read_text("utf-8")
    listed = {
        name for line in text.splitlines() if line.startswith("| `nst ") for name in re.findall(r"`nst (\w+)", line)
    }
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    assert listed == set(command.commands)
