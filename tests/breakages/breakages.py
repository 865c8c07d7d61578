"""The breakages: one-line edits of the code, each of which breaks a promise and must fail a named fast test.

They are data, in the `.toml` files of this folder: under the id of a breakage stand the file, the old text, which is
there exactly once, the new text, the effect that a user would see, and the test that must fail.
"""

import ast
import json
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

CAUGHT = HERE / "caught.json"
"""Ids of the breakages that their tests have caught, as `make breakages` found."""


@dataclass(frozen=True)
class Breakage:
    """A one-line edit that a test must notice.

    Attributes:
        id: its name.
        file: that is edited, below the repository.
        old: text that occurs in the file exactly once.
        new: text that takes its place.
        effect: what a user would see.
        test: node id of the test that must fail.
        listed: the name of the list that has it.
    """

    id: str
    file: str
    old: str
    new: str
    effect: str
    test: str
    listed: str

    def applied(self, text: str) -> str | None:
        """Return the text of the file with the edit; None unless the old text occurs exactly once."""
        return text.replace(self.old, self.new) if text.count(self.old) == 1 else None


def breakages() -> list[Breakage]:
    """Return every breakage, in the order of the lists and of their names."""
    found = []
    for path in sorted(HERE.glob("*.toml")):
        listed = tomllib.loads(path.read_text("utf-8"))
        found += [Breakage(id, **fields, listed=path.stem) for id, fields in listed.items()]
    return found


def functions_of(source: str) -> Iterator[str]:
    """Yield the name of every test function of a module."""
    yield from (node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))


def caught() -> set[str]:
    """Return the ids of the breakages that were caught when they were last tried."""
    return set(json.loads(CAUGHT.read_text("utf-8"))) if CAUGHT.exists() else set()


def keep(tried: Collection[str], found: Collection[str]) -> None:
    """Write down which of the breakages that were tried have been caught; what was not tried stays as it was."""
    known = {breakage.id for breakage in breakages()}
    kept = (caught() - set(tried) | set(found)) & known
    CAUGHT.write_text(json.dumps(sorted(kept), indent=0) + "\n", encoding="utf-8")
