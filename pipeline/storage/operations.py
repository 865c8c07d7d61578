"""Operations on files and folders, whatever store they are in.

A URI is a string: `s3://bucket/key`, `memory://…`, `file://…`, or a path of this machine. Transient errors are repeated
as `policy.Policy` says; lengths, and checksums where a store has them, are compared, so that what is read is what was
written.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from pipeline.storage._call import call
from pipeline.storage._store import Entries, LeaveOut, Page, Store
from pipeline.storage.entry import Entry, Omitted
from pipeline.storage.errors import Barred, NotFound, StorageError, explained
from pipeline.storage.places import check_inside
from pipeline.storage.uris import join

_PROBE = ".writable"
"""The name of the file by which it is checked that a folder can be written to."""

_PROBE_BYTES = 64 * 1024
"""More than a file system keeps in a directory entry: an empty file can be written to a full disk."""

_UNCONDITIONAL = (
    "the store writes over a file that it is told to leave (If-None-Match), so that two runs could work on one output: "
    "use a store, or a version of it, that heeds conditions"
)


def read_bytes(uri: str, *, start: int = 0, end: int | None = None) -> bytes:
    """Return a file, or a range of its bytes.

    Args:
        uri: of the file.
        start: offset of the first byte.
        end: offset after the last byte; None, or one beyond the end: up to the end of the file.

    Raises:
        NotFound: if the file does not exist.
        WrongKind: if it is a folder.
        StorageError: if it cannot be read.
    """
    return call("read", uri, lambda store, path: store.read(path, start, end))


def size(uri: str) -> int:
    """Return the bytes that a file has.

    Raises:
        NotFound: if the file does not exist.
        WrongKind: if it is a folder.
        StorageError: if it cannot be looked up.
    """
    return call("look at", uri, lambda store, path: store.size(path))


def exists(uri: str) -> bool:
    """Return whether a file or folder has this name; False where that cannot be looked up."""
    try:
        return call("look at", uri, lambda store, path: store.is_file(path) or store.is_folder(path))
    except StorageError:
        return False


def write_bytes(uri: str, data: bytes) -> None:
    """Write a file whole or not at all: on this machine and on object stores no reader ever sees a part of it.

    Raises:
        StorageError: if it cannot be written; nothing half written is left.
    """
    call("write", uri, lambda store, path: store.write(path, data))


def write_if(uri: str, data: bytes, *, replaces: str | None) -> bool:
    """Write a file whole, but only if there is none yet, or the one that is there is still the expected one.

    Object stores decide that themselves, and so do file systems for a new file. Elsewhere two writers at once may both
    get True: read the file back where that matters.

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


def remove(uri: str, *, inside: str | None = None) -> None:
    """Delete a file; it is no error if there is none.

    Args:
        uri: of the file; of a link, the link is deleted and not what it points to.
        inside: a folder that the file must be below, where its name was read from storage; None: it may be anywhere.

    Raises:
        StorageError: if it cannot be deleted, or is not inside.
    """
    if inside is not None:
        check_inside(uri, inside)

    def request(store: Store, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            store.remove(path)

    call("delete", uri, request)


def remove_folder(uri: str, *, inside: str) -> None:
    """Delete a folder with all that is below it, links but not what they point to; it is no error if there is none.

    Args:
        uri: of the folder.
        inside: a folder that it must be below.

    Raises:
        StorageError: if something cannot be deleted, or it is not inside.
    """
    check_inside(uri, inside)

    def request(store: Store, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            store.remove_folder(path)

    call("delete", uri, request)


def remove_files(folder: str, names: Collection[str]) -> None:
    """Delete many files of a folder by as few requests as its store allows; it is no error if one is not there.

    Args:
        folder: that holds them.
        names: of the files; of a link, the link is deleted.

    Raises:
        StorageError: if one cannot be deleted; others may be gone then.
        ValueError: for a name that leads elsewhere.
    """
    if elsewhere := [name for name in names if "/" in name or name in ("", ".", "..")]:
        raise ValueError(f"{elsewhere[0]!r} is no name in a folder")
    left: Sequence[str] = list(names)
    while left:
        left = _remove_some(folder, left)


def _remove_some(folder: str, names: Sequence[str]) -> Sequence[str]:
    """Request that files of a folder be deleted, and return the names that are left."""
    return call("delete", folder, lambda store, path: store.remove_files(path, names))


def sweep(uri: str, *, is_ours: Callable[[str], bool] = lambda below: True, older: float = 0.0) -> None:
    """Delete what crashed processes left half written below a folder: it only takes up space.

    On file systems these are hidden files, on S3 uploads in parts that were never completed. Other stores drop such
    uploads by themselves after a week.

    Args:
        uri: of the folder.
        is_ours: tells whether the upload of a file, given by its path below the folder, may be aborted.
        older: seconds since an upload began after which nobody goes on with it.

    Raises:
        StorageError: if something cannot be deleted; uploads that this user may not abort are left.
    """
    call("sweep", uri, lambda store, path: store.sweep(path, is_ours, older))


def names_beginning(folder: str, prefix: str) -> list[str]:
    """Return the names of the files in a folder that begin with a prefix, sorted, a thousand at most.

    On S3 this is one request, however many other files are there. There are none where there is no folder.

    Raises:
        StorageError: if the folder cannot be listed.
    """
    try:
        return sorted(call("list", folder, lambda store, path: store.names_beginning(path, prefix)))
    except NotFound:
        return []


def list_files(uri: str, *, suffix: str = "") -> list[str]:
    """Return the URI of every file below a folder, sorted; of the file itself if the URI is one.

    Args:
        uri: of the folder.
        suffix: that the names of files must end in.

    Raises:
        NotFound: if there is neither a folder nor a file.
        StorageError: if a part of the folder cannot be listed.
    """
    if call("list", uri, lambda store, path: store.is_file(path)):
        return [uri]
    listed: list[str] = []
    start: str | None = None
    while True:
        names, start = _page(uri, start)
        listed += (name for name in names if name.endswith(suffix))
        if start is None:
            return sorted(listed)


def _page(uri: str, start: str | None) -> Page:
    """Request a page of the files below a folder."""
    return call("list", uri, lambda store, path: store.page(path, start))


def walk(
    uri: str,
    *,
    leave_out: Callable[[str], str] = lambda folder: "",
    on_omitted: Callable[[Omitted], None] | None = None,
) -> Iterator[Entry]:
    """Yield every file below a folder with size, time of change and identity, for folders of any size.

    No more than the files of one folder, or one answer of an object store, is in memory. Links to folders are not
    followed.

    Args:
        uri: of the folder.
        leave_out: returns why a folder below, given by its path there, is not to be listed; empty if it is.
        on_omitted: called for what is passed over: folders that are left out, links to folders and to nothing, files
            that are no plain ones, and what cannot be read. Without it, a folder that cannot be read is an error.

    Raises:
        NotFound: if there is no such folder.
        StorageError: if it cannot be listed; without `on_omitted`, also if a part of it cannot.
    """
    start: Any = None
    while True:
        entries, start = _entries(uri, start, leave_out)
        with explained("list", uri):
            for entry in entries:
                if isinstance(entry, Entry):
                    yield entry
                elif on_omitted:
                    on_omitted(entry)
                elif entry.error:
                    with explained("list", entry.uri):
                        raise entry.error
        if start is None:
            return


def _entries(uri: str, start: Any, leave_out: LeaveOut) -> Entries:
    """Request one page of the listing of the files below a folder, with their properties."""
    return call("list", uri, lambda store, path: store.entries(path, start, leave_out))


def is_folder(uri: str) -> bool:
    """Return whether there is a folder of this name; on object stores, whether there is anything below it.

    Raises:
        StorageError: if that cannot be looked up.
    """
    return call("look at", uri, lambda store, path: store.is_folder(path))


def check_no_folder(uri: str) -> None:
    """Check before any work that a file may have this name.

    Raises:
        WrongKind: if a folder has it.
        StorageError: if that cannot be looked up.
    """
    with explained("write", uri):
        if is_folder(uri):
            raise IsADirectoryError(uri)


def check_writable(folder: str) -> None:
    """Check before any work that files can be written below a folder; what it writes for that is deleted in any case.

    Raises:
        StorageError: if not, or if the store writes over a file where it is told that there must be none: two runs
            could hold one lock there, and pictures of a user could be written over.
    """

    def request(store: Store, path: str) -> None:
        try:
            store.write(path, bytes(_PROBE_BYTES))
            if store.write_if(path, b"", None):
                raise Barred(_UNCONDITIONAL)
        except PermissionError:
            raise
        except BaseException:  # it may be there all the same: the answer of a store was lost, a key was pressed
            with contextlib.suppress(Exception):
                store.remove(path)
            raise
        with contextlib.suppress(FileNotFoundError):
            store.remove(path)

    call("write", join(folder, _PROBE), request)
