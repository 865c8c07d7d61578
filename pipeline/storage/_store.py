"""The protocol of a storage back end: each method is one attempt at one operation, and its caller repeats it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from pipeline.storage.entry import Entry, Omitted

Page = tuple[Sequence[str], str | None]
"""URIs of files below a folder, and where the next page starts; None after the last."""

Entries = tuple[Iterable[Entry | Omitted], Any]
"""Files below a folder with what is known of them, what is passed over, and where the next page starts; None after the
last."""

LeaveOut = Callable[[str], str]
"""Returns why a folder, given by its path below the one that is listed, is not to be looked into; empty if it is."""

IsOurs = Callable[[str], bool]
"""Tells whether a file, given by its path below the folder that is swept, is one that this project writes."""

Listing = tuple[Iterable[tuple[str, str]], str | None]
"""Names and identities of files in a folder, and where the next page starts; None after the last."""


class Store(Protocol):
    """A storage back end. Paths are what fsspec makes of a URI: without the scheme, with the bucket.

    Methods raise FileNotFoundError, IsADirectoryError, NotADirectoryError and PermissionError where these apply, and
    `Damaged` where bytes arrive other than they were sent.
    """

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """Return the bytes of a file from `start` up to, but without, `end`; None: up to the end of the file."""

    def size(self, path: str) -> int:
        """Return the bytes that a file has."""

    def write(self, path: str, data: bytes) -> None:
        """Write a file, whole or not at all."""

    def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
        """Write a file only in the place of one with an identity, and return whether it was written.

        Args:
            path: of the file.
            data: its bytes.
            replaces: identity of the file that may be replaced; None: no file may be there.
        """

    def remove(self, path: str) -> None:
        """Delete a file."""

    def is_file(self, path: str) -> bool:
        """Return whether a file has this name."""

    def is_folder(self, path: str) -> bool:
        """Return whether a folder has this name."""

    def page(self, path: str, start: str | None) -> Page:
        """Return a page of the files below a folder: the first one, or the one that starts at `start`."""

    def entries(self, path: str, start: Any, leave_out: LeaveOut) -> Entries:
        """Return a page of the files below a folder with size, time and identity, and of what is passed over.

        A page never holds more than the files of one folder, or one answer of an object store.

        Args:
            path: of the folder.
            start: where the page starts; None: the first one.
            leave_out: which folders below it are not listed; each of them is passed over.
        """

    def names(self, path: str, most: int) -> Sequence[str]:
        """Return the names of some files and folders in a folder; none where that would cost more than a request.

        Args:
            path: of the folder.
            most: how many names are wanted at most.
        """

    def names_beginning(self, path: str, prefix: str) -> Sequence[str]:
        """Return the names of files in a folder that begin with a prefix, a thousand at most, in any order."""

    def remove_folder(self, path: str) -> None:
        """Delete a folder with all that is below it."""

    def remove_files(self, path: str, names: Sequence[str]) -> Sequence[str]:
        """Delete as many of the named files in a folder as one attempt should, and return the names that are left.

        It is no error if one is not there.
        """

    def sweep(self, path: str, is_ours: IsOurs, older: float) -> None:
        """Delete what writes of processes that crashed left below a folder.

        Args:
            path: of the folder.
            is_ours: tells which unfinished files may be deleted, where they can have any name.
            older: seconds since such a write began after which nobody goes on with it.
        """

    def identity(self, path: str) -> str:
        """Return a string that changes whenever a file does."""

    def listing(self, path: str, names: Sequence[str], start: str | None) -> Listing:
        """Return a page of identities of files in a folder, each equal to what `identity` returns.

        Args:
            path: of the folder.
            names: of the files that are wanted, sorted; a page may hold others too, and may lack some of these.
            start: where the page starts; None: the first one.
        """


def compare_and_write(store: Store, path: str, data: bytes, replaces: str | None) -> bool:
    """Write a file only if the one in its place has an identity, which is looked up before the write.

    Two writers at once may both be answered that they wrote: read the file back where that matters.
    """
    try:
        current: str | None = store.identity(path)
    except FileNotFoundError:
        current = None
    if current != replaces:
        return False
    store.write(path, data)
    return True
