"""Any file system that fsspec knows, as a store."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from pipeline.storage._store import Entries, Listing, Page, T
from pipeline.storage.entry import Entry, identity_of
from pipeline.storage.errors import Damaged


class AnyStore:
    """What fsspec offers everywhere, such as memory:// and https://."""

    def __init__(self, fs: Any, *, seconds: float) -> None:
        """A request takes so many seconds at most, where fsspec can stop one: on a network."""
        self.fs, self.seconds = fs, seconds

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """Of a whole file the length is compared."""
        if start or end is not None:
            part: bytes = self._ask("cat_file", path, start=start, end=end)
            return part
        data: bytes = self._ask("cat_file", path)
        compare_length(data, self._ask("info", path).get("size"))
        return data

    def size(self, path: str) -> int:
        """As fsspec is told."""
        info: Mapping[str, Any] = self._ask("info", path)
        if info["type"] != "file":
            raise IsADirectoryError(path)
        return int(info["size"])

    def write(self, path: str, data: bytes) -> None:
        """The length of what is there afterwards is compared."""
        self._ask("pipe_file", path, data)
        compare_length(data, self._ask("info", path).get("size"))

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """Looks first and writes then: two at once may both be told yes, so who needs to know reads back."""
        try:
            found = self.identity(path)
        except FileNotFoundError:
            found = None
        if found != replaces:
            return False
        self.write(path, data)
        return True

    def remove(self, path: str) -> None:
        """Raises FileNotFoundError where it is not."""
        self.fs.rm_file(path)

    def is_file(self, path: str) -> bool:
        """Unlike fsspec's isfile, which calls every error a no."""
        try:
            return bool(self._ask("info", path)["type"] == "file")
        except FileNotFoundError:
            return False

    def is_folder(self, path: str) -> bool:
        """As fsspec sees it."""
        return bool(self.fs.isdir(path))

    def page(self, path: str, start: str | None) -> Page:
        """All of them."""
        found = self.fs.find(path)
        if not found and not self.fs.exists(path):
            raise FileNotFoundError(path)
        return [self.fs.unstrip_protocol(name) for name in found], None

    def entries(self, path: str, start: Any) -> Entries:
        """Those of one folder; the next page starts with the folders that are left."""
        folder, *left = start or (path,)
        found = sorted(self._ask("ls", folder, detail=True), key=lambda info: str(info["name"]))
        below = [info["name"] for info in found if info["type"] == "directory"]
        files = [info for info in found if info["type"] == "file"]
        return [Entry.of(self.fs.unstrip_protocol(info["name"]), info) for info in files], (*below, *left) or None

    def remove_folder(self, path: str) -> None:
        """As fsspec does it."""
        self._ask("rm", path, recursive=True)

    def sweep(self, path: str) -> None:
        """Nothing is: it is the store itself that writes."""

    def identity(self, path: str) -> str:
        """Its ETag, else its size and when it was made."""
        info: Mapping[str, Any] = self._ask("info", path)
        if info["type"] != "file":
            raise IsADirectoryError(path)
        return identity_of(info)

    def listing(self, path: str, names: Sequence[str], start: str | None) -> Listing:
        """None: such stores may say less of a file in a listing than when they are asked for it."""
        return (), None

    def _ask(self, verb: str, path: str, *data: bytes, **options: Any) -> Any:
        if getattr(self.fs, "async_impl", False):
            return within(self.seconds, self.fs, getattr(self.fs, f"_{verb}")(path, *data, **options))
        return getattr(self.fs, verb)(path, *data, **options)


def within(seconds: float, fs: Any, request: Coroutine[Any, Any, T]) -> T:
    """What a request comes to on fsspec's own loop; it is cancelled, with TimeoutError, when its time is over.

    A timeout of the connection is about silence, and a store that sends a byte now and then is never silent.
    """
    return asyncio.run_coroutine_threadsafe(asyncio.wait_for(request, seconds), fs.loop).result()


def compare_length(data: bytes, size: Any) -> None:
    """Raise unless the bytes are as many as the store says; a store that does not say is believed."""
    if isinstance(size, int) and len(data) != size:
        raise Damaged("truncated", f"{len(data)} of {size} bytes came through")
