"""Ids of rows, which follow from what decides the picture."""

import functools
import hashlib
import json
import operator
import re
from json.encoder import encode_basestring_ascii

from nst_kernel.params import PARAMETERS, StyleParams
from pipeline import storage
from pipeline.manifest.roles import PICTURE_PARAMETERS, SEVERAL, each_of

_DERIVED = re.compile("[0-9a-f]{16}")
"""What an id is that follows from the request; another one was given by somebody."""


def is_derived(id: str) -> bool:
    """Return whether an id looks like one that follows from the request, rather than a name that somebody gave."""
    return _DERIVED.fullmatch(id) is not None


def derive_id(content: str | None, style: str | None, params: StyleParams, encoder_sha256: str) -> str:
    """Return the id that follows from what decides a row's picture: 16 hex digits.

    They are the first of a SHA-256 over JSON of `{content, encoder_sha256, params, style}` with sorted keys, no spaces
    and ASCII escapes. Pictures are named by `storage.lasting`, without signatures. `preset` is left out of the
    parameters: it names where values came from, and all are there; and so is what the picture does not depend on.

    Args:
        content: URI of the content picture; None where the row has none.
        style: URI of the style picture, or of several with `|` between them; None where the row has none.
        params: every style parameter; one that is declared as `later` takes part if it is not at its default.
        encoder_sha256: of the encoder's weights.
    """
    return request_digest(content, around_seed(style, params, encoder_sha256), params.seed).hex()


Frame = tuple[str, str]
"""What stands in the JSON of a request between its content and its seed, and what stands behind the seed."""


def around_seed(style: str | None, params: StyleParams, encoder_sha256: str) -> Frame:
    """Return the parts of a request's JSON around its seed, which rows share that differ in content and seed alone.

    Arguments are those of `derive_id`.
    """
    before, after = _around_seed(_decisive_values(params))
    last = _text(style and SEVERAL.join(map(storage.lasting, each_of("style", style))))
    return f',"encoder_sha256":{_text(encoder_sha256)},{before}', f'{after},"style":{last}}}'


def request_digest(content: str | None, frame: Frame, seed: int) -> bytes:
    """Return the bytes that a derived id stands for.

    Args:
        content: URI of the content picture; None where the row has none.
        frame: of the rest of the request.
        seed: of the row.
    """
    first = _text(content and storage.lasting(content))
    return hashlib.sha256(f'{{"content":{first}{frame[0]}{seed}{frame[1]}'.encode()).digest()[:_DIGEST]


_DIGEST = 8
"""Bytes of a derived id."""

_DECISIVE = tuple(name for name, each in PARAMETERS.items() if each.decides and name not in ("preset", "seed"))
_decisive_values = operator.attrgetter(*_DECISIVE)


def _text(text: str | None) -> str:
    """Return a text as JSON, null for None."""
    return "null" if text is None else encode_basestring_ascii(text)


@functools.lru_cache(maxsize=4096)
def _around_seed(values: tuple[object, ...]) -> tuple[str, str]:
    """Return what stands before and after the seed in the JSON of parameters.

    No other value looks like a seed: within JSON's texts quotes are escaped.
    """
    parameters = {
        name: _no_minus_zero(value)
        for name, value in zip(_DECISIVE, values, strict=True)
        if not PARAMETERS[name].later or value != PARAMETERS[name].default
    }
    for name in PICTURE_PARAMETERS:
        if name in parameters:
            parameters[name] = SEVERAL.join(map(storage.lasting, each_of(name, str(parameters[name]))))
    text = json.dumps(parameters | {"seed": 0}, sort_keys=True, separators=(",", ":"))
    before, mark, after = text.partition('"seed":0')
    return f'"params":{before}{mark[:-1]}', after


def _no_minus_zero(value: object) -> object:
    """Return 0.0 for -0.0, at any depth: they are equal as parameters, so they must be equal as text."""
    if isinstance(value, tuple):
        return [_no_minus_zero(member) for member in value]
    return value + 0.0 if isinstance(value, float) else value
