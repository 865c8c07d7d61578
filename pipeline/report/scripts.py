"""The data of the page as scripts: a page that is opened from disk may not fetch files, but may load scripts."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def script(kind: str, number: int, payload: object) -> bytes:
    """Return a script that hands data to the page: `nst.receive("rows", 0, {...});`.

    It is safe in any page: ASCII alone (so U+2028 is escaped), and no `<` that could end a script element.

    Args:
        kind: of the data.
        number: of this part of it.
        payload: the data, as JSON can hold it.

    Raises:
        ValueError: for numbers that JSON cannot hold, such as NaN.
    """
    text = json.dumps(payload, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f"nst.receive({json.dumps(kind)},{number},{text});\n".encode("ascii")


def payload(data: bytes) -> Any:
    """Return the data that a script made by `script` hands over."""
    return json.loads(data.decode("ascii").split(",", 2)[2].removesuffix(");\n"))


def chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Return slices of at most `size` values, in order."""
    return (values[start : start + size] for start in range(0, len(values), size))
