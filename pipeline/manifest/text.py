"""The lines of a text, packed by gzip or not, from its start or from within it, and why one cannot be used."""

import gzip
import io
from collections.abc import Iterator
from typing import NamedTuple

from pipeline import storage
from pipeline.manifest.expansion import most_unpacked, unpacks_to_more
from pipeline.manifest.pieces import NEVER, Piece
from pipeline.manifest.strangers import foreign, old_mac

MAX_LINE = 16 * 2**20
"""Bytes of one line of text; a longer one is a problem and is not held in memory."""

_BEGINNING = 256
"""Bytes of a text that tell whether it is one."""

_BEYOND = 64 * 1024
"""Bytes behind a piece that come with it: its last record goes on into them."""


class Line(NamedTuple):
    """A line of a text.

    Attributes:
        number: from 1, or from what was given as the first.
        text: with its end.
        end: offset behind it; `NEVER` for one after which nothing is read.
        fault: why it cannot be used; empty: it can.
    """

    number: int
    text: str
    end: int
    fault: str


class Text:
    """The lines of a text file from where a piece of it begins, up to the end of the file.

    Attributes:
        file: URI.
        began: offset of the first line.
    """

    def __init__(self, piece: Piece, data: bytes | None) -> None:
        """Find the first line.

        Args:
            piece: of the file.
            data: the file, where the piece is the whole of it.
        """
        self.file, self.began, self._piece = piece.file, piece.start, piece
        self._packed = len(data) if data is not None and piece.is_packed else None
        self._stream: io.BufferedReader
        if data is not None:
            raw = io.BytesIO(data)
            self._stream = io.BufferedReader(gzip.GzipFile(fileobj=raw) if piece.is_packed else raw)
            return
        at_once = (piece.end or piece.length or 0) - piece.start + _BEYOND
        self._stream = _from(piece, max(0, piece.start - 1), at_once if piece.start else max(at_once, _BEGINNING))
        if piece.start:  # the line that the byte before is in is another piece's
            self.began += _rest_of_line(self._stream) - 1

    def beginning(self) -> "Text":
        """Return the file from its start on."""
        return Text(Piece(self.file, self._piece.uri, end=_BEYOND, length=self._piece.length), None)

    def __iter__(self) -> Iterator[Line]:
        """Yield the lines with their ends and without a byte order mark."""
        stream, number, place = self._stream, 0, self.began
        left = NEVER if self._packed is None else most_unpacked(self._packed)
        if not place and (fault := foreign(stream.peek(_BEGINNING)[:_BEGINNING])):
            yield Line(1, "", NEVER, fault)
            return
        while line := stream.readline(MAX_LINE):
            number += 1
            place += len(line)
            if number == 1 and not self.began:
                line = line.removeprefix(b"\xef\xbb\xbf")
                if fault := old_mac(line):
                    yield Line(1, line.partition(b"\r")[0].decode(errors="replace"), NEVER, fault)
                    return
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                place += _rest_of_line(stream, most=left - place)
                yield Line(number, "", place, f"a line of at most {MAX_LINE:,} bytes")
                continue
            if place > left:
                yield Line(number, "", NEVER, unpacks_to_more(self._packed or 0))
                return
            try:
                yield Line(number, line.decode(), place, "")
            except UnicodeDecodeError as error:
                fault = f"text in UTF-8 (byte {error.start + 1} of this line is not): save the file as UTF-8"
                yield Line(number, line.decode(errors="replace"), place, fault)


def _from(piece: Piece, start: int, at_once: int) -> io.BufferedReader:
    """Return the file of a piece, opened at an offset, of which so many bytes are fetched with each request."""
    file = storage.RangedFile(piece.uri, piece.length)
    file.seek(start)
    return io.BufferedReader(file, at_once)


def _rest_of_line(stream: io.BufferedReader, most: int = NEVER) -> int:
    """Pass over what is left of a line, but not over many more bytes than given, and return how many there were."""
    count = 0
    while count <= most and (rest := stream.readline(2**16)):
        count += len(rest)
        if rest.endswith(b"\n"):
            break
    return count
