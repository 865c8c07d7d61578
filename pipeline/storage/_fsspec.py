"""The storage back end for any file system that fsspec offers, such as memory:// and https://."""

import asyncio
import contextlib
import glob
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from pipeline.storage._access import max_bytes
from pipeline.storage._store import Entries, IsOurs, LeaveOut, Listing, Page, compare_and_write
from pipeline.storage.entry import Entry, Omitted, identity_of
from pipeline.storage.errors import Damaged, check_length

T = TypeVar("T")

_AT_ONCE = 16
"""Files that are deleted side by side."""

_LONGEST = 2**62
"""Bytes that no file has; stores take offsets as 64-bit numbers."""


class AnyStore:
    """A file system of fsspec as a `Store`, by the operations that all of them share."""

    def __init__(self, fs: Any, *, seconds: float, spell: Callable[[str], str] | None = None) -> None:
        """Wrap a file system of fsspec.

        Args:
            fs: the file system.
            seconds: that a request takes at most; file systems without a network cannot be interrupted.
            spell: returns the URI of a file, given its path; by default what fsspec makes of it.
        """
        self.fs, self.seconds = fs, seconds
        self.spell: Callable[[str], str] = spell or (lambda path: fs.unstrip_protocol(path))

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """Read a file or a range of it; the length of a whole file is compared.

        Where it is not known beforehand, no more than one byte beyond what may be read is asked for.
        """
        most = max_bytes()
        size = None if start or end is not None else self._info(path).get("size")
        if size is None:
            limit = start + min(most, _LONGEST) + 1
            data: bytes = self._request("cat_file", path, start=start, end=limit if end is None else min(end, limit))
            check_length(len(data), most)
            return data
        check_length(size, most)
        data = self._request("cat_file", path)
        compare_length(data, size)
        return data

    def size(self, path: str) -> int:
        """Return the bytes of a file, as fsspec reports them."""
        return int(self._file_info(path)["size"])

    def write(self, path: str, data: bytes) -> None:
        """Write a file, and compare its length with what the store has afterwards."""
        self._request("pipe_file", path, data)
        compare_length(data, self._info(path).get("size"))

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """Write a file after a look at what is there; of several who create it one succeeds, if the store has a way.

        Google's and Azure's stores have one. Elsewhere, and where a file is replaced, two writers at once may both be
        answered that they wrote.
        """
        if replaces is not None:
            return compare_and_write(self, path, data, replaces)
        if self.fs.exists(path):
            return False
        try:
            self._request("pipe_file", path, data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            if _is_refused(error):
                return False
            raise
        compare_length(data, self._info(path).get("size"))
        return True

    def remove(self, path: str) -> None:
        """Delete a file; raises FileNotFoundError where there is none."""
        self.fs.rm_file(path)

    def is_file(self, path: str) -> bool:
        """Return whether a file has this name; fsspec's own isfile would turn every error into False."""
        try:
            return bool(self._info(path)["type"] == "file")
        except FileNotFoundError:
            return False

    def is_folder(self, path: str) -> bool:
        """Return whether fsspec has a folder of this name."""
        return bool(self.fs.isdir(path))

    def page(self, path: str, start: str | None) -> Page:
        """Return all files below a folder as one page."""
        names = self.fs.find(path)
        if not names and not self.fs.exists(path):
            raise FileNotFoundError(path)
        return [self.spell(name) for name in names], None

    def entries(self, path: str, start: Any, leave_out: LeaveOut) -> Entries:
        """Return the files of one folder; the next page starts with the folders that are left."""
        folder, *left = start or (path,)
        try:
            listed = sorted(self._request("ls", folder, detail=True), key=lambda info: str(info["name"]))
        except PermissionError as error:
            if not start:
                raise
            return [Omitted(self.spell(folder), "unreadable", True, error)], tuple(left) or None
        of_files: list[Entry | Omitted] = []
        below: list[str] = []
        for info in listed:
            name = str(info["name"])
            uri = self.spell(name)
            if info["type"] == "file":
                of_files.append(Entry.of(uri, info))
            elif info["type"] != "directory":
                of_files.append(Omitted(uri, "no plain file"))
            elif reason := leave_out(name.removeprefix(path.rstrip("/")).strip("/")):
                of_files.append(Omitted(uri, reason, is_folder=True))
            else:
                below.append(name)
        return of_files, (*below, *left) or None

    def names(self, path: str, most: int) -> Sequence[str]:
        """Return the names that fsspec lists; of web servers none, whose pages are no listings."""
        if "http" in self.fs.protocol:
            return []
        return [str(name).rstrip("/").rpartition("/")[2] for name in self._request("ls", path, detail=False)[:most]]

    def names_beginning(self, path: str, prefix: str) -> Sequence[str]:
        """Return the names of files in a folder that begin with a prefix, from a listing of the whole folder."""
        listed = self._request("ls", path, detail=True)
        names = [str(info["name"]).rpartition("/")[2] for info in listed if info["type"] == "file"]
        return [name for name in names if name.startswith(prefix)]

    def remove_folder(self, path: str) -> None:
        """Delete a folder by fsspec's recursive deletion, which would take brackets in its name for a pattern."""
        self._request("rm", glob.escape(path), recursive=True)

    def remove_files(self, path: str, names: Sequence[str]) -> Sequence[str]:
        """Delete some files at once, where the file system runs on fsspec's event loop; else one.

        fsspec's own deletion of many files would look each one up, and take brackets in a name for a pattern.
        """
        if not getattr(self.fs, "async_impl", False):
            with contextlib.suppress(FileNotFoundError):
                self.remove(f"{path}/{names[0]}")
            return names[1:]
        together = _each([self.fs._rm_file(f"{path}/{name}") for name in names[:_AT_ONCE]])
        for error in within(self.seconds, self.fs, together):
            if error is not None and not isinstance(error, FileNotFoundError):
                raise error
        return names[_AT_ONCE:]

    def sweep(self, path: str, is_ours: IsOurs, older: float) -> None:
        """Delete nothing: such a store writes by itself, and leaves no temporary files here."""

    def identity(self, path: str) -> str:
        """Return the ETag of a file, else its size and time of change."""
        return identity_of(self._file_info(path))

    def listing(self, path: str, names: Sequence[str], start: str | None) -> Listing:
        """Return no identities, since such a store may report less about a file in a listing than in a lookup."""
        return (), None

    def _info(self, path: str) -> Mapping[str, Any]:
        """Return what fsspec knows of a file or folder; raises FileNotFoundError where there is none."""
        info: Mapping[str, Any] = self._request("info", path)
        return info

    def _file_info(self, path: str) -> Mapping[str, Any]:
        """Return what fsspec knows of a file; raises IsADirectoryError for a folder."""
        info = self._info(path)
        if info["type"] != "file":
            raise IsADirectoryError(path)
        return info

    def _request(self, verb: str, path: str, *data: bytes, **options: Any) -> Any:
        """Call a method of the file system, with a time limit where it runs on fsspec's event loop."""
        if getattr(self.fs, "async_impl", False):
            return within(self.seconds, self.fs, getattr(self.fs, f"_{verb}")(path, *data, **options))
        return getattr(self.fs, verb)(path, *data, **options)


async def _each(requests: Sequence[Coroutine[Any, Any, object]]) -> list[BaseException | None]:
    """Run requests side by side, and return what each of them raised."""
    ended = await asyncio.gather(*requests, return_exceptions=True)
    return [each if isinstance(each, BaseException) else None for each in ended]


def _is_refused(error: OSError) -> bool:
    """Return whether a store refused a condition (HTTP status 412), as errors of several libraries say it."""
    code = getattr(error, "code", None) or getattr(error, "status", None)
    return str(code) == "412" or "conditionNotMet" in str(error)


def within(seconds: float, fs: Any, request: Coroutine[Any, Any, T]) -> T:
    """Run a request on fsspec's event loop, and cancel it when its time is over.

    A timeout of the connection is about silence, and a store that sends a byte now and then is never silent.

    Args:
        seconds: that the request may take in all.
        fs: the file system whose event loop runs it.
        request: the coroutine.

    Raises:
        TimeoutError: when the time is over.
    """
    return asyncio.run_coroutine_threadsafe(asyncio.wait_for(request, seconds), fs.loop).result()


def compare_length(data: bytes, size: Any) -> None:
    """Raise `Damaged` unless the bytes are as many as a store reports; a store that reports none is trusted."""
    if isinstance(size, int) and len(data) != size:
        raise Damaged("truncated", f"{len(data)} of {size} bytes came through")
