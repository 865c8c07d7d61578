"""A file in storage as readers of columns want it: what they ask for is fetched, and nothing else."""

import io

from pipeline.storage import operations as storage


class RangedFile(io.RawIOBase):
    """A file opened for reading; each read is a request. Errors are those of `storage.read_bytes`."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self.uri, self.length, self.place = uri, storage.size(uri), 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place, of which nothing is fetched yet."""
        self.place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.length}[whence]
        return self.place

    def read(self, size: int | None = -1) -> bytes:
        """So many bytes from here on, or all."""
        end = self.length if size is None or size < 0 else min(self.length, self.place + size)
        data = storage.read_bytes(self.uri, start=self.place, end=end) if end > self.place else b""
        self.place += len(data)
        return data
