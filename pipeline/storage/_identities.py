"""Identities of files: strings that change whenever a file does."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from pipeline.storage._call import S, T, call
from pipeline.storage._retry import Policy
from pipeline.storage._store import Listing
from pipeline.storage.errors import StorageError

_WORTH_LISTING = 20
"""Files asked for, for each page of a listing (a thousand files at most) that is read to find them."""


_LISTED_TOGETHER = 5000
"""Files of one folder that are looked up in one part of its listing; parts are read side by side."""


_WAITING = 1024
"""Calls that wait for a thread."""


def identity(uri: str) -> str:
    """What tells without reading a file whether it changed: its ETag, or size in bytes and time of change.

    Raises:
        StorageError: if it is missing or is a folder.
    """
    return call("look at", uri, lambda store, path: store.identity(path))


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
    return call("list", folder, lambda store, path: store.listing(path, names, start))
