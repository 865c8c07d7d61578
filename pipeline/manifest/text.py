"""The lines of a text, packed by gzip or not, and why one cannot be used."""

import gzip
import io
from collections.abc import Iterator
from typing import NamedTuple

from pipeline import storage
from pipeline.manifest.expansion import most_unpacked, unpacks_to_more
from pipeline.manifest.strangers import foreign, old_mac

MAX_LINE = 16 * 2**20
"""Bytes of one line of text; a longer one is a problem and is not held in memory."""

_BEGINNING = 256
"""Bytes of a text that tell whether it is one."""


class Line(NamedTuple):
    """A line of a text.

    Attributes:
        number: from 1.
        text: with its end.
        fault: why it cannot be used; empty: it can.
    """

    number: int
    text: str
    fault: str


def lines_of(file: str, data: bytes) -> Iterator[Line]:
    """Yield the lines of a text with their ends and without a byte order mark; `fault` says why one cannot be used."""
    raw = io.BytesIO(data)
    is_packed = storage.without_query(file).lower().endswith(".gz")
    stream = io.BufferedReader(gzip.GzipFile(fileobj=raw) if is_packed else raw)
    left = most_unpacked(len(data)) if is_packed else len(data)
    if fault := foreign(stream.peek(_BEGINNING)[:_BEGINNING]):
        yield Line(1, "", fault)
        return
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        left -= len(line)
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
            if fault := old_mac(line):
                yield Line(1, line.partition(b"\r")[0].decode(errors="replace"), fault)
                return
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            yield Line(number, "", f"a line of at most {MAX_LINE:,} bytes")
            while left >= 0 and (rest := stream.readline(2**16)) and not rest.endswith(b"\n"):
                left -= len(rest)
            continue
        if left < 0:
            yield Line(number, "", unpacks_to_more(len(data)))
            return
        try:
            yield Line(number, line.decode(), "")
        except UnicodeDecodeError as error:
            fault = f"text in UTF-8 (byte {error.start + 1} of this line is not): save the file as UTF-8"
            yield Line(number, line.decode(errors="replace"), fault)
