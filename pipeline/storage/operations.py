"""Every byte in and out of storage: fsspec behind one door.

A URI is a string: `s3://bucket/key`, `memory://…`, `file://…`, or a path of this machine.

What is transient is tried again, what is final is said at once (`retry.Policy`; NST_STORAGE_… in the environment
changes it). What was read is what had been written: lengths, and checksums where the store has them, are compared.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from pipeline.storage._call import call
from pipeline.storage._identities import identities, identity, side_by_side
from pipeline.storage._retry import Policy, repeated, retries
from pipeline.storage._store import Entries, Page, Store
from pipeline.storage.entry import Entry
from pipeline.storage.errors import StorageError, explained
from pipeline.storage.uris import absolute, is_uri, join, parent, resolve

__all__ = [
    "Entry",
    "Policy",
    "StorageError",
    "absolute",
    "check_no_folder",
    "check_writable",
    "identities",
    "identity",
    "is_uri",
    "join",
    "list_files",
    "parent",
    "read_bytes",
    "remove",
    "remove_folder",
    "repeated",
    "resolve",
    "retries",
    "side_by_side",
    "size",
    "sweep",
    "walk",
    "write_bytes",
    "write_if",
]


_PROBE_BYTES = 64 * 1024
"""More than a file system keeps in a directory entry: an empty file can be written to a full disk."""


def read_bytes(uri: str, *, start: int = 0, end: int | None = None) -> bytes:
    """A file, or its bytes from `start` up to `end`.

    Raises:
        StorageError: if it is missing, is a folder, or cannot be read.
    """
    return call("read", uri, lambda store, path: store.read(path, start, end))


def size(uri: str) -> int:
    """Bytes of a file.

    Raises:
        StorageError: if it is missing or is a folder.
    """
    return call("look at", uri, lambda store, path: store.size(path))


def write_bytes(uri: str, data: bytes) -> None:
    """Write a file whole or not at all, on this machine and on object stores: never a part is seen.

    Raises:
        StorageError: if it cannot be written; nothing half written stays behind.
    """
    call("write", uri, lambda store, path: store.write(path, data))


def write_if(uri: str, data: bytes, *, replaces: str | None) -> bool:
    """Write a small file whole, but only if none is there, or the one that is there is still the same.

    Object stores decide that themselves, and so do file systems for a new file. Elsewhere two writers at once may both
    be told yes: read back where that matters.

    Args:
        uri: of the file.
        data: its bytes.
        replaces: identity of the file that may be replaced; None: there must be none.

    Returns:
        Whether it was written.

    Raises:
        StorageError: if it cannot be written.
    """
    return call("write", uri, lambda store, path: store.write_if(path, data, replaces))


def remove(uri: str) -> None:
    """Delete a file; one that is not there is no error.

    Raises:
        StorageError: if it cannot be deleted.
    """

    def gone(store: Store, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            store.remove(path)

    call("delete", uri, gone)


def remove_folder(uri: str) -> None:
    """Delete a folder with all that is below it, links but not what they point to; one that is not there is no error.

    Raises:
        StorageError: if something cannot be deleted.
    """

    def gone(store: Store, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            store.remove_folder(path)

    call("delete", uri, gone)


def sweep(uri: str) -> None:
    """Delete what is left below a folder of writes in whose middle a process died: no file, but room on a disk.

    Raises:
        StorageError: if it cannot be deleted.
    """
    call("sweep", uri, lambda store, path: store.sweep(path))


def list_files(uri: str, *, suffix: str = "") -> list[str]:
    """Every file below a folder whose name ends in `suffix`, sorted; the file itself if it is one.

    Raises:
        StorageError: if there is nothing there.
    """
    if call("list", uri, lambda store, path: store.is_file(path)):
        return [uri]
    found: list[str] = []
    start: str | None = None
    while True:
        names, start = _page(uri, start)
        found += (name for name in names if name.endswith(suffix))
        if start is None:
            return sorted(found)


def _page(uri: str, start: str | None) -> Page:
    return call("list", uri, lambda store, path: store.page(path, start))


def walk(uri: str) -> Iterator[Entry]:
    """Every file below a folder, one at a time, with what its store says of it: for folders of any size.

    What is held is one folder, or on object stores one answer of a thousand. Links to folders are not followed.

    Raises:
        StorageError: if there is no such folder, or a part of it cannot be listed.
    """
    start: Any = None
    while True:
        entries, start = _entries(uri, start)
        with explained("list", uri):
            yield from entries
        if start is None:
            return


def _entries(uri: str, start: Any) -> Entries:
    return call("list", uri, lambda store, path: store.entries(path, start))


def check_no_folder(uri: str) -> None:
    """Find out before any work whether a file may have this name.

    Raises:
        StorageError: if a folder has it.
    """
    with explained("write", uri):
        if call("look at", uri, lambda store, path: store.is_folder(path)):
            raise IsADirectoryError(uri)


def check_writable(folder: str) -> None:
    """Find out before any work whether files can be written below a folder.

    Raises:
        StorageError: if not.
    """
    probe = join(folder, ".writable")
    write_bytes(probe, bytes(_PROBE_BYTES))
    remove(probe)
