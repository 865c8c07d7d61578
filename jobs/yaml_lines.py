"""Read YAML along with the line on which each part of it is written."""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

Loc = tuple[str | int, ...]


class YamlError(ValueError):
    """Raised for text that is not YAML or is ambiguous; has what was expected, and the line, from 1."""

    def __init__(self, line: int | None, message: str) -> None:
        self.line = line
        super().__init__(message)


class _Loader(yaml.SafeLoader):
    """A YAML loader that leaves dates as text, so that a wrong date can be reported with its field."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Document:
    """The content of a YAML file, with line numbers.

    Attributes:
        value: of the whole document.
        lines: by path of names and indices, the line on which a field is written, from 1.
    """

    value: object
    lines: dict[Loc, int]

    def line(self, loc: Loc) -> int | None:
        """Return the line number of a field, from 1, or of the closest enclosing field that the text contains."""
        return next((self.lines[loc[:end]] for end in range(len(loc), -1, -1) if loc[:end] in self.lines), None)


def parse(text: str) -> Document:
    """Parse a text that holds one YAML document.

    Raises:
        YamlError: for text that is no YAML, has a name twice in one place, or more than one document.
    """
    try:
        tree = yaml.compose(text, Loader=_Loader)
        value = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(filter(None, (error.context, error.problem)))
        raise YamlError(mark.line + 1 if mark else None, f"YAML: {problem}") from error
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise YamlError(None, f"YAML: {' '.join(str(error).split())}") from error
    return Document(value, dict(_lines(tree, ())) if tree else {})


def _lines(node: yaml.Node, loc: Loc) -> Iterator[tuple[Loc, int]]:
    """Yield each field below a node, by its path, and its line; raise YamlError for a name that is given twice."""
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
