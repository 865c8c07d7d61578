"""A file in storage for readers of columns: only the ranges of bytes that they read are fetched."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pipeline.storage import operations as storage

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class RangedFile(io.RawIOBase):
    """A file opened for reading; each read is a request for a range. Errors are those of `storage.read_bytes`."""

    def __init__(self, uri: str, length: int | None = None) -> None:
        """Look up the length of a file, which is fetched by later reads.

        Args:
            uri: of the file.
            length: of the file, where it is known.

        Raises:
            StorageError: if it is missing or is a folder.
        """
        super().__init__()
        self.uri, self.length, self.place = uri, storage.size(uri) if length is None else length, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the offset in bytes at which the next read begins."""
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset in bytes, without a request, and return it counted from the start of the file."""
        self.place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.length}[whence]
        return self.place

    def read(self, size: int | None = -1) -> bytes:
        """Fetch up to `size` bytes from the current offset on, or all that follow if it is None or negative."""
        end = self.length if size is None or size < 0 else min(self.length, self.place + size)
        data = storage.read_bytes(self.uri, start=self.place, end=end) if end > self.place else b""
        self.place += len(data)
        return data

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fetch as many bytes as a buffer has room for, or all that follow, and return how many these are."""
        into = memoryview(buffer).cast("B")
        data = self.read(len(into))
        into[: len(data)] = data
        return len(data)
