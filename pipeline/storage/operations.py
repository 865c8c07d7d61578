"""Every byte in and out of storage: fsspec behind one door.

A URI is a string: `s3://bucket/key`, `memory://…`, `file://…`, or a path of this machine.

What is transient is tried again, what is final is said at once (`retry.Policy`; NST_STORAGE_… in the environment
changes it). What was read is what had been written: lengths, and checksums where the store has them, are compared.
"""

import contextlib
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import fsspec.config
from fsspec import get_filesystem_class
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipeline.storage._retry import Policy, one_of_few, persist, repeated, retries
from pipeline.storage._s3 import S3Store
from pipeline.storage._store import AnyStore, Entries, Listing, LocalStore, Page, Store
from pipeline.storage.entry import Entry
from pipeline.storage.errors import StorageError, explained

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

S = TypeVar("S")
T = TypeVar("T")

_S3 = ("s3://", "s3a://")

_PROBE_BYTES = 64 * 1024
"""More than a file system keeps in a directory entry: an empty file can be written to a full disk."""

_WORTH_LISTING = 20
"""Files asked for, for each page of a listing (a thousand files at most) that is read to find them."""

_LISTED_TOGETHER = 5000
"""Files of one folder that are looked up in one part of its listing; parts are read side by side."""

_WAITING = 1024
"""Calls that wait for a thread."""


def is_uri(text: str) -> bool:
    """Whether a string has a scheme, such as s3://."""
    return "://" in text


def resolve(uri: str, base: str) -> str:
    """A relative path as a URI within the folder `base`; an absolute path or a URI with a scheme as it is."""
    if is_uri(uri) or uri.startswith("/"):
        return uri
    scheme, separator, path = join(base, uri).rpartition("://")
    if separator and {".", ".."} & set(path.split("/")):  # object stores take dots at their word
        path = posixpath.normpath(path)
    return f"{scheme}{separator}{path}"


def parent(uri: str) -> str:
    """The folder that holds a file."""
    head, slash, _ = uri.rpartition("/")
    if not slash:
        return "."
    return uri if head.endswith(":/") else head or "/"


def join(base: str, *names: str) -> str:
    """A file or folder below `base`. Dots in a path of this machine are resolved, in a URI they stay."""
    joined = "/".join([base.rstrip("/") or "/", *names]) if base else "/".join(names)
    return joined if is_uri(joined) else posixpath.normpath(joined)


def absolute(uri: str) -> str:
    """A path of this machine made absolute, so that it means the same in every process; other URIs as they are."""
    path = uri.removeprefix("file://")
    return path if is_uri(path) else posixpath.normpath(Path(path).absolute())


def read_bytes(uri: str, *, start: int = 0, end: int | None = None) -> bytes:
    """A file, or its bytes from `start` up to `end`.

    Raises:
        StorageError: if it is missing, is a folder, or cannot be read.
    """
    return _do("read", uri, lambda store, path: store.read(path, start, end))


def size(uri: str) -> int:
    """Bytes of a file.

    Raises:
        StorageError: if it is missing or is a folder.
    """
    return _do("look at", uri, lambda store, path: store.size(path))


def write_bytes(uri: str, data: bytes) -> None:
    """Write a file whole or not at all, on this machine and on object stores: never a part is seen.

    Raises:
        StorageError: if it cannot be written; nothing half written stays behind.
    """
    _do("write", uri, lambda store, path: store.write(path, data))


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
    return _do("write", uri, lambda store, path: store.write_if(path, data, replaces))


def remove(uri: str) -> None:
    """Delete a file; one that is not there is no error.

    Raises:
        StorageError: if it cannot be deleted.
    """

    def gone(store: Store, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            store.remove(path)

    _do("delete", uri, gone)


def remove_folder(uri: str) -> None:
    """Delete a folder with all that is below it, links but not what they point to; one that is not there is no error.

    Raises:
        StorageError: if something cannot be deleted.
    """

    def gone(store: Store, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            store.remove_folder(path)

    _do("delete", uri, gone)


def sweep(uri: str) -> None:
    """Delete what is left below a folder of writes in whose middle a process died: no file, but room on a disk.

    Raises:
        StorageError: if it cannot be deleted.
    """
    _do("sweep", uri, lambda store, path: store.sweep(path))


def list_files(uri: str, *, suffix: str = "") -> list[str]:
    """Every file below a folder whose name ends in `suffix`, sorted; the file itself if it is one.

    Raises:
        StorageError: if there is nothing there.
    """
    if _do("list", uri, lambda store, path: store.is_file(path)):
        return [uri]
    found: list[str] = []
    start: str | None = None
    while True:
        names, start = _page(uri, start)
        found += (name for name in names if name.endswith(suffix))
        if start is None:
            return sorted(found)


def _page(uri: str, start: str | None) -> Page:
    return _do("list", uri, lambda store, path: store.page(path, start))


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
    return _do("list", uri, lambda store, path: store.entries(path, start))


def identity(uri: str) -> str:
    """What tells without reading a file whether it changed: its ETag, or size in bytes and time of change.

    Raises:
        StorageError: if it is missing or is a folder.
    """
    return _do("look at", uri, lambda store, path: store.identity(path))


def identities(uris: Sequence[str]) -> dict[str, str | StorageError]:
    """The identity of each of many files, or why it has none; many at once.

    Files of one folder are looked up in its listing, a thousand with one request; those that it does not say, and
    those with few neighbours, are asked for one by one.
    """

    def one(uri: str) -> str | StorageError:
        try:
            return identity(uri)
        except StorageError as error:
            return error

    found: dict[str, str | StorageError] = dict.fromkeys(uris, "")
    threads = Policy.from_environment().concurrency
    for listed in side_by_side(_listed_identities, _neighbours(list(found)), threads=threads):
        found.update(listed)
    rest = [uri for uri, known in found.items() if not known]
    found.update(zip(rest, side_by_side(one, rest, threads=threads), strict=True))
    return found


def side_by_side(call: Callable[[S], T], items: Sequence[S], *, threads: int) -> Iterator[T]:
    """As `map`, in order, by so many threads. However many items there are, some hundreds wait for a thread."""
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(items), _WAITING):
            yield from pool.map(call, items[start : start + _WAITING])


def _neighbours(uris: Sequence[str]) -> list[tuple[str, list[str]]]:
    """(folder, names) of files that have enough neighbours among these to be found in a listing; names in order."""
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for uri in uris:
        folder, slash, name = uri.rpartition("/")
        if slash and folder and not folder.endswith("/"):
            folders[folder].append(name)
    return [
        (folder, names[start : start + _LISTED_TOGETHER])
        for folder, names in folders.items()
        if len(names) >= _WORTH_LISTING
        for names in [sorted(names)]
        for start in range(0, len(names), _LISTED_TOGETHER)
    ]


def _listed_identities(neighbours: tuple[str, list[str]]) -> dict[str, str]:
    """Identities by URI of files of one folder, as far as its listing says them while that is worth it."""
    folder, names = neighbours
    wanted, found, start = set(names), dict[str, str](), None
    for _ in range(1 + len(names) // _WORTH_LISTING):
        try:
            page, start = _listing(folder, names, start)
        except StorageError:  # who may read files may not always list them
            break
        found.update((f"{folder}/{name}", known) for name, known in page if name in wanted)
        if start is None:
            break
    return found


def _listing(folder: str, names: Sequence[str], start: str | None) -> Listing:
    return _do("list", folder, lambda store, path: store.listing(path, names, start))


def check_no_folder(uri: str) -> None:
    """Find out before any work whether a file may have this name.

    Raises:
        StorageError: if a folder has it.
    """
    with explained("write", uri):
        if _do("look at", uri, lambda store, path: store.is_folder(path)):
            raise IsADirectoryError(uri)


def check_writable(folder: str) -> None:
    """Find out before any work whether files can be written below a folder.

    Raises:
        StorageError: if not.
    """
    probe = join(folder, ".writable")
    write_bytes(probe, bytes(_PROBE_BYTES))
    remove(probe)


def _do(verb: str, uri: str, call: Callable[[Store, str], T]) -> T:
    """Have a store do something, as patiently as the policy says, one of few at once; errors in one clear line."""
    policy = Policy.from_environment()
    endpoint = "/".join(uri.split("/")[:3]) if is_uri(uri) else "file://"

    def attempt() -> T:
        with one_of_few(endpoint, policy.concurrency):
            return call(*_open(uri, policy))

    with explained(verb, uri):
        return persist(f"{verb} {uri}", attempt, policy=policy, renew=lambda: _forget(uri))


def _open(uri: str, policy: Policy) -> tuple[Store, str]:
    # Listings change under us, from other processes: never from a cache.
    options: dict[str, Any] = {"use_listings_cache": False}
    if not uri.startswith(_S3):
        fs, path = url_to_fs(uri, **options)
        return (LocalStore if isinstance(fs, LocalFileSystem) else AnyStore)(fs, seconds=policy.request_timeout), path
    options["config_kwargs"] = fsspec.config.conf.get("s3", {}).get("config_kwargs", {}) | {
        "connect_timeout": policy.timeout,
        "read_timeout": policy.timeout,
        "max_pool_connections": policy.concurrency,
        "retries": {"mode": "standard", "total_max_attempts": 1},  # ours are enough: attempts would multiply
    }
    fs, path = url_to_fs(uri, **options)
    fs.retries = 1  # for the same reason
    return S3Store(fs, verify=policy.verify, seconds=policy.request_timeout), path


def _forget(uri: str) -> None:
    """Let the next request ask the provider chain for credentials anew: fsspec keeps connections for ever."""
    get_filesystem_class(uri.split("://")[0] if is_uri(uri) else "file").clear_instance_cache()
