"""YAML as a person writes it: what it says, and on which line each part of it stands."""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

Loc = tuple[str | int, ...]


class YamlError(ValueError):
    """Raised where a text is no YAML, or is ambiguous; says on which line, from 1."""

    def __init__(self, line: int | None, message: str) -> None:
        self.line = line
        super().__init__(message)


@dataclass(frozen=True)
class Document:
    """What a file says.

    Attributes:
        value: of the whole.
        lines: by place, the line on which it stands, from 1.
    """

    value: object
    lines: dict[Loc, int]

    def line(self, loc: Loc) -> int | None:
        """The line of a place, or of the nearest thing around it that is written."""
        return next((self.lines[loc[:end]] for end in range(len(loc), -1, -1) if loc[:end] in self.lines), None)


def parse(text: str) -> Document:
    """The one document of a text.

    Raises:
        YamlError: for text that is no YAML, has a name twice in one place, or more than one document.
    """
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(filter(None, (error.context, error.problem)))
        raise YamlError(mark.line + 1 if mark else None, said) from error
    except (yaml.YAMLError, ValueError) as error:  # letters that YAML does not allow; a date such as 2024-13-01
        raise YamlError(None, " ".join(str(error).split())) from error
    return Document(value, dict(_lines(tree, ())) if tree else {})


def _lines(node: yaml.Node, loc: Loc) -> Iterator[tuple[Loc, int]]:
    yield loc, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for number, part in enumerate(node.value):
            yield from _lines(part, (*loc, number))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, part in node.value:
            line = key.start_mark.line + 1
            name = str(key.value)
            if name in seen:
                raise YamlError(line, f"{'.'.join(map(str, (*loc, name)))} is given twice: expected it once")
            seen.add(name)
            below = _lines(part, (*loc, name))
            yield next(below)[0], line
            yield from below
