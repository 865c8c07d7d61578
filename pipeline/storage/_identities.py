"""Identities of files: strings that change whenever a file does."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pipeline.storage._call import call
from pipeline.storage._store import Listing
from pipeline.storage.errors import StorageError
from pipeline.storage.policy import Policy
from pipeline.storage.uris import local_path

S = TypeVar("S")
T = TypeVar("T")

Neighbours = tuple[str, list[str]]
"""A folder, and names of files in it that are wanted, sorted."""

_WORTH_LISTING = 20
"""Wanted files for each page of a listing (a thousand files at most) that is read to find them."""

_LISTED_TOGETHER = 5000
"""Files of one folder that are looked up in one part of its listing; parts are read in parallel."""

_AT_ONCE = 5e-5
"""Seconds for a file of a folder that answers at once, at most; ten times what it takes on an idle machine."""

_WAITING = 1024
"""Calls that wait for a thread."""


def identity(uri: str) -> str:
    """Return a string that tells, without reading a file, whether it changed: its ETag, or size and time of change.

    Raises:
        NotFound: if the file does not exist.
        WrongKind: if it is a folder.
        StorageError: if it cannot be looked up.
    """
    return call("look at", uri, lambda store, path: store.identity(path))


def identities(uris: Sequence[str]) -> dict[str, str | StorageError]:
    """Return the identity of each of many files, or why it has none.

    Files of one folder are looked up in its listing, a thousand with one request; those that it does not tell, and
    those with few neighbours in their folder, are looked up one by one, in parallel.

    Args:
        uris: of files; each is looked up once.
    """

    def one(uri: str) -> str | StorageError:
        try:
            return identity(uri)
        except StorageError as error:
            return error

    known: dict[str, str | StorageError] = dict.fromkeys(uris, "")
    threads = Policy.from_environment().concurrency
    for listed in _listed(_neighbours(list(known)), threads=threads):
        known.update(listed)
    rest = [uri for uri, tag in known.items() if not tag]
    known.update(zip(rest, map_in_threads(one, rest, threads=threads), strict=True))
    return known


def _listed(neighbours: Sequence[Neighbours], *, threads: int) -> Iterator[dict[str, str]]:
    """Yield what `_listed_identities` returns for each, by several threads unless this machine answers at once.

    Then threads only take the interpreter from each other, which doubles the CPU time. A local folder may as well be in
    a network, where each look takes its time.
    """
    place, is_at_once = 0, True
    while is_at_once and place < len(neighbours) and local_path(neighbours[place][0]) is not None:
        began = time.monotonic()
        yield _listed_identities(neighbours[place])
        is_at_once = time.monotonic() - began < len(neighbours[place][1]) * _AT_ONCE
        place += 1
    yield from map_in_threads(_listed_identities, neighbours[place:], threads=threads)


def map_in_threads(call: Callable[[S], T], items: Sequence[S], *, threads: int) -> Iterator[T]:
    """Yield what a function returns for each item, in order, computed by several threads.

    However many items there are, only a thousand at a time wait for a thread.
    """
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(items), _WAITING):
            yield from pool.map(call, items[start : start + _WAITING])


def _neighbours(uris: Sequence[str]) -> list[Neighbours]:
    """Return the files that have enough neighbours among these to be worth a listing."""
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for uri in uris:
        folder, slash, name = uri.rpartition("/")
        as_written = "%" not in uri or uri.endswith(local_path(uri) or uri)
        if slash and folder and not folder.endswith("/") and as_written:
            folders[folder].append(name)
    return [
        (folder, names[start : start + _LISTED_TOGETHER])
        for folder, names in folders.items()
        if len(names) >= _WORTH_LISTING
        for names in [sorted(names)]
        for start in range(0, len(names), _LISTED_TOGETHER)
    ]


def _listed_identities(neighbours: Neighbours) -> dict[str, str]:
    """Return identities by URI of files of one folder, as far as a reasonable number of its pages tells them."""
    folder, names = neighbours
    wanted, known, start = set(names), dict[str, str](), None
    for _ in range(1 + len(names) // _WORTH_LISTING):
        try:
            page, start = _listing(folder, names, start)
        except StorageError:  # a user who may read files may not always list them
            break
        known.update((f"{folder}/{name}", tag) for name, tag in page if name in wanted)
        if start is None:
            break
    return known


def _listing(folder: str, names: Sequence[str], start: str | None) -> Listing:
    """Request a page of the identities of files in a folder."""
    return call("list", folder, lambda store, path: store.listing(path, names, start))
