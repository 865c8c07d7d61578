"""What each kind of storage does when it is asked once: one call here is one attempt. Retries are the caller's."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

from pipeline.storage.entry import Entry

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
