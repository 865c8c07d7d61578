"""The pieces of a manifest, each of which can be read by itself, and how a file is cut into them."""

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.manifest.row import extension

BYTES = 16 * 2**20
"""Bytes of a text in one piece: some seconds of a core, and a request to the store."""

ROWS = 200_000
"""Rows of a Parquet file in one piece, at least: whole row groups, of which some programs write very small ones."""

NEVER = sys.maxsize
"""The offset of what is not read any more."""

_LOOKED_AT = 2**20
"""Bytes of a Parquet file from which on it is looked up how many rows it has."""


@dataclass(frozen=True)
class Piece:
    """A part of a file: the whole of it, the records that begin in a range of its bytes, or some of its row groups.

    Where a record begins in a range is guessed, as its first line. That is wrong where a cell goes over several lines,
    and so what is read counts only if the piece before it has ended there.

    Attributes:
        file: as it was given, and as problems name it.
        uri: absolute.
        columns: that folders give to all rows of the file, by name.
        start: offset of the range, or number of the first row group.
        end: offset behind the range, or behind its row groups; None: up to the end of the file.
        length: bytes of the file; None: not known.
        identity: of the file when it was cut; empty: it was not.
        names: columns of JSON Lines that records before the piece have.
    """

    file: str
    uri: str
    columns: Mapping[str, str] = field(default_factory=dict)
    start: int = 0
    end: int | None = None
    length: int | None = None
    identity: str = ""
    names: frozenset[str] = frozenset()

    @property
    def base(self) -> str:
        """The folder that relative paths in the file start from."""
        return storage.parent(self.uri)

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole file."""
        return not self.identity

    @property
    def stop(self) -> int:
        """Offset or row group up to which records may begin."""
        return NEVER if self.end is None else self.end

    @property
    def is_packed(self) -> bool:
        """Whether it is of a text that gzip has packed, which can be read from its start alone."""
        return storage.without_query(self.file).lower().endswith(".gz")


def cut(whole: Piece) -> list[Piece]:
    """Return the pieces of a file; one, if it is small, cannot be read in parts, or may not be read at all.

    Args:
        whole: the file.
    """
    kind = extension(whole.file)
    if kind is None or whole.is_packed or storage.is_on_the_web(whole.uri):  # a server may send the whole for each part
        return [whole]
    is_parquet = kind == ".parquet"
    try:
        length = storage.size(whole.uri)
        whole = dataclasses.replace(whole, length=length)
        if not (_LOOKED_AT if is_parquet else BYTES) < length <= storage.max_bytes():
            return [whole]
        identity = storage.identity(whole.uri)
        ends = list(_ends_of_groups(whole.uri, length)) if is_parquet else [*range(BYTES, length, BYTES)]
    except (storage.StorageError, pa.ArrowException, OSError):  # whoever reads it says so
        return [whole]
    pairs = zip([0, *ends], [*ends, None], strict=True)
    return [dataclasses.replace(whole, start=start, end=end, identity=identity) for start, end in pairs]


def _ends_of_groups(uri: str, length: int) -> Iterator[int]:
    """Yield the number of each row group of a Parquet file with which a piece begins, but for the first."""
    metadata = pq.read_metadata(storage.RangedFile(uri, length))
    rows = 0
    for group in range(metadata.num_row_groups):
        if rows >= ROWS:
            yield group
            rows = 0
        rows += metadata.row_group(group).num_rows
