"""YAML as a person writes it: what it says, and on which line each part of it stands."""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

Loc = tuple[str | int, ...]


class YamlError(ValueError):
    """Raised where a text is no YAML, or is ambiguous; says what was expected, and on which line, from 1."""

    def __init__(self, line: int | None, message: str) -> None:
        self.line = line
        super().__init__(message)


class _Loader(yaml.SafeLoader):
    """Leaves dates as they are written: who wants one reads it, and can say where it is wrong."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


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
        tree = yaml.compose(text, Loader=_Loader)
        value = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(filter(None, (error.context, error.problem)))
        raise YamlError(mark.line + 1 if mark else None, f"YAML: {said}") from error
    except yaml.YAMLError as error:  # letters that it does not allow
        raise YamlError(None, f"YAML: {' '.join(str(error).split())}") from error
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
                raise YamlError(line, f"{'.'.join(map(str, (*loc, name)))} once; it is given twice")
            seen.add(name)
            below = _lines(part, (*loc, name))
            yield next(below)[0], line
            yield from below
