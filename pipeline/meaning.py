"""What a row means, and the names that follow from it: the same every night."""

import functools
import hashlib
import json
import operator
import urllib.parse

from nst_kernel.params import KNOBS, StyleParams

MAX_NAME = 255
"""Bytes of a file's or folder's name: what every file system takes."""


def derive_id(content: str | None, style: str | None, params: StyleParams, encoder_sha256: str) -> str:
    """A row's meaning as 16 hex digits: the first of a SHA-256 over canonical JSON of what decides the picture.

    That is `{content, encoder_sha256, params, style}` with sorted keys, no spaces and ASCII escapes. `preset` is
    left out of the parameters: it names where values came from, and they are all there.
    """
    first, last = _json(content), _json(style)
    meaning = f'{{"content":{first},"encoder_sha256":{_json(encoder_sha256)},{_canonical(params)},"style":{last}}}'
    return hashlib.sha256(meaning.encode()).hexdigest()[:16]


_json = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


_REST = tuple(name for name in KNOBS if name not in ("preset", "seed"))
_rest = operator.attrgetter(*_REST)


def _canonical(params: StyleParams) -> str:
    """Rows that differ in nothing but their seeds share the rest of the text."""
    before, after = _around_seed(_rest(params))
    return f"{before}{params.seed}{after}"


@functools.lru_cache(maxsize=4096)
def _around_seed(rest: tuple[object, ...]) -> tuple[str, str]:
    knobs = {name: _no_minus_zero(value) for name, value in zip(_REST, rest, strict=True)}
    before, mark, after = _json(knobs | {"seed": 0}).partition('"seed":0')
    return f'"params":{before}{mark[:-1]}', after


def _no_minus_zero(value: object) -> object:
    """0.0 for -0.0: they are equal parameters, so they must be equal text."""
    if isinstance(value, tuple):
        return [_no_minus_zero(member) for member in value]
    return value + 0.0 if isinstance(value, float) else value


def default_output(id: str) -> str:
    """The name of a row's picture below images/, where the row gives none."""
    name = f"{id if id.isascii() and id.isalnum() else urllib.parse.quote(id, safe='')}.png"
    return name if len(name) <= MAX_NAME else f"{hashlib.sha256(id.encode()).hexdigest()[:16]}.png"
