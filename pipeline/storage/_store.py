"""What each kind of storage does when it is asked once: one call here is one attempt. Retries are the caller's."""

import asyncio
import contextlib
import os
import stat
import time
import uuid
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pipeline.storage.entry import Entry, identity_of
from pipeline.storage.errors import Damaged

T = TypeVar("T")

_BESIDE = ".part"
"""What names end in that files have until they are whole."""

_BEING_WRITTEN = 10.0
"""Seconds since the last byte, after which nobody is writing a file any more."""

Page = tuple[Sequence[str], str | None]
"""URIs of files below a folder, and where the next page starts; None after the last."""

Entries = tuple[Iterable[Entry], Any]
"""Files below a folder with what is known of them, and where the next page starts; None after the last."""
Listing = tuple[Iterable[tuple[str, str]], str | None]
"""Names and identities of files in a folder, and where the next page starts; None after the last."""


class Store(Protocol):
    """One kind of storage. Paths are what fsspec makes of a URI, without its scheme."""

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """The bytes of a file from `start` up to `end`."""

    def size(self, path: str) -> int:
        """Bytes of a file."""

    def write(self, path: str, data: bytes) -> None:
        """A file, whole or not at all."""

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """A small file, only in the place of one with this identity, or None: of none. Whether it was written."""

    def remove(self, path: str) -> None:
        """Delete a file."""

    def is_file(self, path: str) -> bool:
        """Whether a file has this name."""

    def is_folder(self, path: str) -> bool:
        """Whether a folder has this name."""

    def page(self, path: str, start: str | None) -> Page:
        """Some of the files below a folder, from where a page before this one said."""

    def entries(self, path: str, start: Any) -> Entries:
        """The same with size, time and identity, and never more of them in memory than one folder or one answer has."""

    def remove_folder(self, path: str) -> None:
        """Delete a folder with all that is below it."""

    def sweep(self, path: str) -> None:
        """Delete what is left below a folder of writes in whose middle a process died."""

    def identity(self, path: str) -> str:
        """What changes whenever a file does."""

    def listing(self, path: str, names: Sequence[str], start: str | None) -> Listing:
        """Identities, as if asked one by one, of files in a folder, some of these among them. Names are sorted."""


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


class LocalStore(AnyStore):
    """This machine's file systems, and what is mounted there."""

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """A network file system may cut a file short: the length of a whole one is compared."""
        with Path(path).open("rb") as file:
            file.seek(start)
            data = file.read(-1 if end is None else end - start)
            if not start and end is None and len(data) < os.fstat(file.fileno()).st_size:
                compare_length(data, os.fstat(file.fileno()).st_size)
            return data

    def write(self, path: str, data: bytes) -> None:
        """Beside its place first, then renamed; what fails leaves the old file and nothing else."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{uuid.uuid4().hex}{_BESIDE}")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            _sync_folder(target.parent)
        except BaseException:
            with contextlib.suppress(OSError):  # a disk that turned read-only refuses this as well
                temporary.unlink(missing_ok=True)
            raise

    def sweep(self, path: str) -> None:
        """What was written beside its place and never renamed, unless a living process may still be at it."""
        since = time.time() - _BEING_WRITTEN
        for folder, _, names in os.walk(path):
            for left in (Path(folder, name) for name in names if name.startswith(".") and name.endswith(_BESIDE)):
                with contextlib.suppress(FileNotFoundError):
                    if left.stat().st_mtime < since:
                        left.unlink()

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """A new file is a link to one written beside it: only one of many can make it. Replacing looks first."""
        if replaces is not None:
            return super().write_if(path, data, replaces)
        beside = str(Path(path).with_name(f".{uuid.uuid4().hex}{_BESIDE}"))
        self.write(beside, data)
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            return super().write_if(path, data, None)
        finally:
            Path(beside).unlink()
        return True

    def page(self, path: str, start: str | None) -> Page:
        """All of them, as paths. Their names alone are read: fsspec's find looks at each, and a file that is deleted
        meanwhile would hide its whole folder."""
        walk = os.walk(path, onerror=_unless_gone, followlinks=True)
        found = [str(Path(folder, name)) for folder, _, names in walk for name in names]
        if not found and not Path(path).exists():
            raise FileNotFoundError(path)
        return found, None

    def entries(self, path: str, start: Any) -> Entries:
        """Those of one folder, by name. Links to folders are not followed: each file is met once, and no walk is
        endless."""
        folder, *left = start or (path,)
        below, names = [], []
        with contextlib.suppress(*[FileNotFoundError] if start else []), os.scandir(folder) as found:
            for entry in found:
                if not entry.is_dir():
                    names.append(entry.path)
                elif not entry.is_symlink():
                    below.append(entry.path)
        return _looked_at(sorted(names)), (*sorted(below), *left) or None

    def identity(self, path: str) -> str:
        """Size in bytes and time of the last change in nanoseconds."""
        if Path(path).is_dir():
            raise IsADirectoryError(path)
        return _identity(Path(path).stat())

    def listing(self, path: str, names: Sequence[str], start: str | None) -> Listing:
        """Just these, without those that cannot be looked at. They may be a million: no `Path` is made of each."""
        found = []
        for name in names:
            with contextlib.suppress(OSError):
                seen = os.stat(f"{path}/{name}")  # noqa: PTH116
                if not stat.S_ISDIR(seen.st_mode):
                    found.append((name, _identity(seen)))
        return found, None


def within(seconds: float, fs: Any, request: Coroutine[Any, Any, T]) -> T:
    """What a request comes to on fsspec's own loop; it is cancelled, with TimeoutError, when its time is over.

    A timeout of the connection is about silence, and a store that sends a byte now and then is never silent.
    """
    return asyncio.run_coroutine_threadsafe(asyncio.wait_for(request, seconds), fs.loop).result()


def compare_length(data: bytes, size: Any) -> None:
    """Raise unless the bytes are as many as the store says; a store that does not say is believed."""
    if isinstance(size, int) and len(data) != size:
        raise Damaged("truncated", f"{len(data)} of {size} bytes came through")


def _unless_gone(error: OSError) -> None:
    """A folder that cannot be listed is not an empty one; one that is deleted meanwhile is."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _looked_at(paths: Sequence[str]) -> Iterator[Entry]:
    """Files of this machine one by one; what is gone by then is left out."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            found = Path(path).stat()
            yield Entry(path, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC), _identity(found))


def _identity(found: os.stat_result) -> str:
    return f"{found.st_size}-{found.st_mtime_ns}"


def _sync_folder(folder: Path) -> None:
    """Make a new name durable: without it, a row could outlive its picture when the power goes."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
