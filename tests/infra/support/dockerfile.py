"""Dockerfiles as instructions, and what a build of them is given."""

import fnmatch
import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.support import REPOSITORY

CONTAINER = REPOSITORY / "infra" / "container"


@dataclass(frozen=True)
class Instruction:
    """A line of a Dockerfile, with those that continue it.

    Attributes:
        word: such as RUN, in capitals.
        text: what follows, in one line.
        stage: name of the stage that it is in; empty before the first.
    """

    word: str
    text: str
    stage: str

    @property
    def copied(self) -> list[str]:
        """What a COPY takes from the folder that is built; nothing where it takes from another stage."""
        words = self.text.split()
        if self.word != "COPY" or any(word.startswith("--from") for word in words):
            return []
        return [word for word in words if not word.startswith("--")][:-1]

    @property
    def listed(self) -> list[str]:
        """The words of an instruction in JSON."""
        words: list[str] = json.loads(self.text[self.text.index("[") :])
        return words


def parse(text: str) -> list[Instruction]:
    """Read a Dockerfile."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found: list[Instruction] = []
    stage = ""
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stage = rest.rpartition(" AS ")[2]
        found.append(Instruction(word, " ".join(rest.split()), stage))
    return found


def ignored(path: str, rules: list[str]) -> bool:
    """Whether a file of the folder that is built stays out, by the rules of a .dockerignore: the last that fits."""
    out = False
    parts = path.split("/")
    beginnings = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    for rule in rules:
        pattern = rule.removeprefix("!").rstrip("/")
        names = parts if pattern.startswith("**/") else beginnings
        if any(fnmatch.fnmatchcase(name, pattern.removeprefix("**/")) for name in names):
            out = not rule.startswith("!")
    return out


def rules_of(file: Path) -> list[str]:
    """The rules of a .dockerignore."""
    return [line for line in file.read_text("utf-8").splitlines() if line and not line.startswith("#")]
