"""Files of a batch, read by threads side by side while others are decoded, since a store may be far away."""

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pipeline import storage
from pipeline.process import watchdog
from pipeline.stages.kept_files import KEPT

AT_ONCE = 16
"""Files that are read at a time, or wait in memory to be taken."""


@dataclass(frozen=True)
class _Read:
    """A file that was read, or why it was not, and how many requests were repeated for it."""

    data: bytes | storage.StorageError
    retries: int


class ReadAhead:
    """Files that are read before they are asked for, within a `with` block.

    Attributes:
        retries: requests that were repeated for the files that were taken so far.
    """

    def __init__(self, uris: Iterable[str], run: str = "") -> None:
        """Prepare to read files.

        Args:
            uris: of the files, in the order in which they are taken; one that is there twice is read once.
            run: for which files are kept that other batches read too; empty: none are kept.
        """
        self._run = run
        self.retries = 0
        self._left = deque(dict.fromkeys(uris))
        self._reading: dict[str, Future[_Read]] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE)

    def __enter__(self) -> Self:
        self._go_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, uri: str) -> bytes:
        """Return a file; one that was taken already, or that nobody announced, is read now.

        Raises:
            StorageError: if it cannot be read.
        """
        if uri not in self._reading:
            self._reading[uri] = self._pool.submit(_read, uri, self._run)
        read = self._reading.pop(uri).result()
        self._go_on()
        self.retries += read.retries
        if isinstance(read.data, storage.StorageError):
            raise read.data
        return read.data

    def _go_on(self) -> None:
        """Begin to read further files, as many as may be in memory."""
        while self._left and len(self._reading) < AT_ONCE:
            uri = self._left.popleft()
            self._reading[uri] = self._pool.submit(_read, uri, self._run)


def _read(uri: str, run: str) -> _Read:
    """Read a file in a thread of the pool, unless it is kept, and give a sign of life."""
    kept = KEPT.get(run, uri)
    if kept is not None:
        return _Read(kept, 0)
    before = storage.repeated()
    data: bytes | storage.StorageError
    try:
        with storage.neighbours_named():
            data = storage.read_bytes(uri)
        KEPT.put(run, uri, data)
    except storage.StorageError as error:
        data = error
    watchdog.alive()
    return _Read(data, storage.repeated() - before)
