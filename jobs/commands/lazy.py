"""Commands that are imported when they are used: `nst --help` and completion show their names without that.

What `--help` says of a command is the first paragraph of its function's docstring, read from the source.
"""

import ast
import contextlib
import importlib
import re
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True)
class Place:
    """The module that has a command, and the panel of the help that lists it.

    Attributes:
        panel: of the help that lists it.
        module: its file in this folder; a function of the command's name is the command, or the callback of a group.
    """

    panel: str
    module: str


def described(name: str, module: str) -> str:
    """Return the first paragraph of the docstring of a command's function, without importing its module."""
    source = (Path(__file__).parent / f"{module}.py").read_text("utf-8")
    functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name)
    return (ast.get_docstring(next(functions)) or "").partition("\n\n")[0]


def loaded(name: str, place: Place) -> Any:
    """Return a command, or a group of commands, of its module."""
    module = importlib.import_module(f"jobs.commands.{place.module}")
    group = getattr(module, "app", None)
    if group is None:
        group = typer.Typer(add_completion=False, rich_markup_mode="rich")
        group.command(name)(getattr(module, name))
    command = typer.main.get_command(group)
    command.name = name
    _unfold(command)
    return command


def unfolded(text: str) -> str:
    """Return a text with each paragraph in one line: a terminal folds it where it is full."""
    return "\n\n".join(re.sub(r"\s*\n\s*", " ", paragraph.strip()) for paragraph in text.split("\n\n"))


def _unfold(command: Any) -> None:
    """Join the lines of each paragraph of a command's help, and of commands in it."""
    command.help = unfolded(command.help or "")
    for one in getattr(command, "commands", {}).values():
        _unfold(one)


class Loading(MutableMapping[str, Any]):
    """Commands by name, in the order of the help; each is imported when it is looked up."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self.places, self.known = dict(places), dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        """Return the command, imported."""
        if name not in self.known:
            self.known[name] = loaded(name, self.places[name])
        return self.known[name]

    def __setitem__(self, name: str, command: Any) -> None:
        """Keep a command that is at hand."""
        self.places.setdefault(name, Place("", ""))
        self.known[name] = command

    def __delitem__(self, name: str) -> None:
        """Forget a command."""
        del self.places[name]
        self.known.pop(name, None)

    def __iter__(self) -> Any:
        """Iterate over the names."""
        return iter(self.places)

    def __len__(self) -> int:
        """Return how many commands there are."""
        return len(self.places)


@contextlib.contextmanager
def _nearest_choice_said() -> Iterator[None]:
    """Add to what is said of a word that is none of an option's choices which of them is near to it."""
    try:
        yield
    except typer.BadParameter as error:
        error.message = error.message.removeprefix("Value error, ")
        written, found, choices = error.message.partition(" is not one of ")
        if found:
            from nst_kernel.params import with_nearest

            known = re.findall("'([^']*)'", choices)
            error.message = with_nearest(error.message.rstrip("."), ast.literal_eval(written), known)
        raise


def group_of(places: Mapping[str, Place]) -> type[TyperGroup]:
    """Return a class of groups that has these commands."""

    class Lazy(TyperGroup):
        """A group whose help and completion import no command."""

        def __init__(self, **words: Any) -> None:
            super().__init__(**words)
            self.commands = Loading(places)

        def list_commands(self, ctx: Any) -> list[str]:
            """Return the names, in the order of the help."""
            return list(places)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            """Return what help and completion tell of a command."""
            if cmd_name not in places:
                return None
            place = places[cmd_name]
            return TyperCommand(cmd_name, help=described(cmd_name, place.module), rich_help_panel=place.panel)

        def make_context(self, *words: Any, **options: Any) -> Any:
            """Return the context of a command line, its own options parsed."""
            with _nearest_choice_said():
                return super().make_context(*words, **options)

        def invoke(self, ctx: Any) -> Any:
            """Execute the command that a command line names."""
            with _nearest_choice_said():
                return super().invoke(ctx)

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """Return the command that is to be executed, imported, and the words that are left for it."""
            name, command, rest = super().resolve_command(ctx, args)
            return name, command and self.commands[str(name)], rest

    return Lazy
