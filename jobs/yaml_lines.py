"""Read YAML along with the line on which each part of it is written."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

Loc = tuple[str | int, ...]

MAX_DEPTH = 50
"""Levels to which lists and mappings may be nested, aliases written out."""

MAX_NODES = 300_000
"""Values that a text may have, aliases written out: three times what the largest grid has."""

_CORE = "tag:yaml.org,2002:"
_PLAIN = frozenset(_CORE + kind for kind in ("str", "int", "float", "bool", "null", "seq", "map", "merge", "value"))


class YamlError(ValueError):
    """Raised for text that is not plain YAML or is ambiguous; the message is what was expected.

    Attributes:
        line: where, from 1; None where it is not known.
        field: the path of the field, such as resources.num_actors; empty where it is not known.
        value: as written; empty where it is not known.
    """

    def __init__(self, line: int | None, message: str, *, field: str = "", value: str = "") -> None:
        self.line, self.field, self.value = line, field, value
        super().__init__(message)


class _Loader(yaml.SafeLoader):
    """A YAML loader that leaves dates as text, so that a wrong date can be reported with its field."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_CORE}timestamp"]
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
        YamlError: for text that is no plain YAML, has a name twice in one place, or more than one document; and for
            more values or levels than a job could need, which a few aliases can stand for.
    """
    try:
        _check_size(text)
        loader = _Loader(text)
        tree = loader.get_single_node()
        lines = dict(_lines(tree, (), loader)) if tree else {}
        value = loader.construct_document(tree) if tree else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(filter(None, (error.context, error.problem)))
        raise YamlError(mark.line + 1 if mark else None, f"YAML: {problem}") from error
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise YamlError(None, f"YAML: {' '.join(str(error).split())}") from error
    return Document(value, lines)


@dataclass
class _Size:
    """The size of a part of a text, aliases written out: its values, itself included, and the levels below it."""

    anchor: str | None = None
    nodes: int = 1
    depth: int = 0

    def add(self, part: "_Size") -> None:
        """Count a part of this part."""
        self.nodes, self.depth = self.nodes + part.nodes, max(self.depth, part.depth + 1)


def _check_size(text: str) -> None:
    """Raise YamlError where a text is nested too deep or has too many values, before any of them is made."""
    ended: dict[str, _Size] = {}
    open_parts = [_Size()]  # the whole stream, and the lists and mappings around the current place
    for event in yaml.parse(text, Loader=_Loader):
        line, part = event.start_mark.line + 1 if event.start_mark else None, None
        if isinstance(event, yaml.CollectionStartEvent):
            open_parts.append(_Size(event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            part = open_parts.pop()
        elif isinstance(event, yaml.ScalarEvent):
            part = _Size(event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in {each.anchor for each in open_parts}:
                raise YamlError(line, f"*{event.anchor} outside of what &{event.anchor} stands for")
            aliased = ended.get(str(event.anchor), _Size())  # an unknown one is reported with the rest of the syntax
            part = _Size(None, aliased.nodes, aliased.depth)
        if part:
            open_parts[-1].add(part)
            if part.anchor:
                ended[part.anchor] = part
        if len(open_parts) - 1 + (part.depth if part else 0) > MAX_DEPTH:
            raise YamlError(line, f"lists and mappings nested at most {MAX_DEPTH} deep")
        if open_parts[-1].nodes > MAX_NODES:
            raise YamlError(line, f"at most {MAX_NODES:,} values, each alias counted as what it stands for")


def _lines(node: yaml.Node, loc: Loc, loader: _Loader) -> Iterator[tuple[Loc, int]]:
    """Yield each field below a node, by its path, and its line.

    Raises:
        YamlError: for a name that is given twice, and for a value that is no plain YAML.
    """
    _check_plain(node, loc, loader)
    yield loc, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for number, part in enumerate(node.value):
            yield from _lines(part, (*loc, number), loader)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, part in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError(line, "a name, not a list or mapping in its place", field=_named(loc))
            _check_plain(key, loc, loader)
            name = str(key.value)
            if name in seen:
                raise YamlError(line, f"{_named((*loc, name))} once; it is given twice")
            seen.add(name)
            below = _lines(part, (*loc, name), loader)
            yield next(below)[0], line
            yield from below


def _check_plain(node: yaml.Node, loc: Loc, loader: _Loader) -> None:
    """Raise YamlError for a tag outside plain YAML, a value that does not fit its tag, and a number without end."""
    line, field = node.start_mark.line + 1, _named(loc)
    written = node.value if isinstance(node, yaml.ScalarNode) else ""
    if node.tag not in _PLAIN:
        raise YamlError(
            line, f"plain YAML (text, numbers, true, false, null, lists, mappings), not {node.tag}", field=field
        )
    if not isinstance(node, yaml.ScalarNode) or node.tag in (f"{_CORE}merge", f"{_CORE}value"):
        return
    try:
        value = loader.construct_object(node)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        kind = node.tag.removeprefix(_CORE)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise YamlError(line, f"a value that YAML reads as {kind} ({reason})", field=field, value=written) from error
    if isinstance(value, float) and not math.isfinite(value):
        raise YamlError(line, "a finite number", field=field, value=written)


def _named(loc: Loc) -> str:
    """Return the path of a field as messages have it."""
    return ".".join(map(str, loc))
