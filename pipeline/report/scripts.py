"""Data of the page as scripts: a page that is opened from disk may not fetch, but it may load scripts."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def script(kind: str, number: int, payload: object) -> bytes:
    """A script that hands `payload` to the page: `nst.receive("rows", 0, {...});`.

    It stays data wherever it is put: ASCII alone (so U+2028 is escaped), and no `<` that could end a script element.

    Raises:
        ValueError: for numbers that JSON has not, such as NaN.
    """
    text = json.dumps(payload, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f"nst.receive({json.dumps(kind)},{number},{text});\n".encode("ascii")


def payload(data: bytes) -> Any:
    """What a script of `script` hands over."""
    return json.loads(data.decode("ascii").split(",", 2)[2].removesuffix(");\n"))


def chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Slices of at most `size`, in order."""
    return (values[start : start + size] for start in range(0, len(values), size))
