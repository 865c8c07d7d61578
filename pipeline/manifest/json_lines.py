"""Manifests in JSON Lines: members by name, and every line that cannot be read."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from pipeline.manifest.items import MAX_COLUMNS, End, Header, Item, Record, too_many
from pipeline.manifest.pieces import Piece
from pipeline.manifest.row import RowProblem, shown
from pipeline.manifest.text import Text


def parse_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: if it is malformed, nested too deep, or gives a name twice in one object.
    """
    try:
        return _json_decoder.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError("nested too deep") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dictionary, or raise ValueError if it has the same name twice."""
    members = dict(pairs)
    if len(members) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{shown(twice)} stands there twice")
    return members


_json_decoder = json.JSONDecoder(object_pairs_hook=_unique)


def read_json_lines(piece: Piece, data: bytes | None, wanted: Collection[str]) -> Iterator[Item]:
    """Yield the rows and problems of a piece of a JSON Lines file, and a header whenever a name appears first.

    Args:
        piece: of the file.
        data: the file, where the piece is the whole of it.
        wanted: columns whose cells are kept.
    """
    text, names = Text(piece, data), set(piece.names)
    lines, place, number = iter(text), text.began, 0
    while place < piece.stop and (line := next(lines, None)):
        number, place, fault = line.number, line.end, line.fault
        if not fault and not line.text.strip():
            continue
        cells: Any = None
        try:
            cells = None if fault else parse_json(line.text)
        except ValueError as error:
            fault = f"a JSON object on one line ({error})"
        if not fault and not isinstance(cells, dict):
            fault = 'a JSON object such as {"content": "a.jpg", "style": "b.jpg"}'
        if fault:
            yield RowProblem(text.file, number, None, shown(line.text.strip()) if line.text else "", fault)
            continue
        if not cells.keys() <= names:
            new = [name for name in cells if name not in names]
            names.update(new)
            if len(names) > MAX_COLUMNS:
                yield too_many(text.file, number, len(names))
                return
            yield Header(number, tuple(new), whole=False)
        yield Record(number, {name: value for name, value in cells.items() if name in wanted})
    yield End(text.began, place, number, frozenset(names))
