"""Files that are there in the place of a missing one, as their names differ only in what a person does not see."""

import contextlib
import functools
import os
import time
import unicodedata
import urllib.parse
from collections.abc import Iterator, Mapping

from pipeline.storage._call import call
from pipeline.storage.errors import NotFound, StorageError
from pipeline.storage.uris import parent

_NAMES = 10_000
"""Names of a folder that are looked through."""

_KEPT_SECONDS = 30.0
"""How long the names of a folder are kept: of a million rows, many may be missing in the same one."""


@contextlib.contextmanager
def neighbours_named() -> Iterator[None]:
    """Name, in the error of a missing file in this block, one that differs only in case, normal form or encoding.

    It is for files that people name: it lists their folders, which would be wasted on those that may well be missing.
    """
    try:
        yield
    except NotFound as error:
        there = neighbour(error.uri) if error.uri else None
        if there is None:
            raise
        named = NotFound(f"{error}; there is {_printable(there)}, which differs in {_difference(error.uri, there)}")
        named.uri = error.uri
        raise named from error.__cause__


def neighbour(uri: str) -> str | None:
    """Return the URI that a missing file or folder has if case, normal form and encoding do not count; None for none.

    Folders above it may be spelled otherwise too. No more than the first thousands of names in each are looked at.
    """
    folder, name = parent(uri), uri.rpartition("/")[2]
    if folder == uri or not name:
        return None
    names = _names(folder, int(time.monotonic() / _KEPT_SECONDS))
    if not names:
        folder = neighbour(folder) or ""
        names = _names(folder, int(time.monotonic() / _KEPT_SECONDS)) if folder else {}
    there = next((names[reading] for reading in _readings(name) if reading in names), None)
    uri_there = None if there is None else f"{folder.rstrip('/')}/{there}" if folder != "." else there
    return None if uri_there == uri else uri_there


@functools.lru_cache(maxsize=16)
def _names(folder: str, _period: int) -> Mapping[str, str]:
    """Return the names of what is in a folder by each way to read them; empty where it cannot be listed."""
    try:
        names = call("list", folder, lambda store, path: store.names(path, _NAMES))
    except StorageError:
        return {}
    return {reading: name for name in names for reading in _readings(name)}


def _readings(name: str) -> list[str]:
    """Return the texts that a name may stand for, without the difference of capitals and composed letters."""
    texts = [name]
    if not name.isascii():
        raw = os.fsencode(name) if any("\udc80" <= letter <= "\udcff" for letter in name) else None
        for encoding in ("latin-1", "cp1252", "cp437"):  # the last is what ZIP archives take for granted
            with contextlib.suppress(UnicodeError):
                texts.append(raw.decode(encoding) if raw else name.encode(encoding).decode())
    if "%" in name:
        texts.append(urllib.parse.unquote(name))
    return list(dict.fromkeys(_folded(text) for text in texts))


def _folded(text: str) -> str:
    """Return a text with its letters composed and none of them capital."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _difference(uri: str, there: str) -> str:
    """Return in words what two spellings of a URI differ in."""
    if unicodedata.normalize("NFC", uri) == unicodedata.normalize("NFC", there):
        return "the normal form of its letters (NFC or NFD), which looks the same"
    return "capital letters" if _folded(uri) == _folded(there) else "the encoding of its letters"


def _printable(text: str) -> str:
    """Return a text whose letters can all be printed and written as UTF-8, others as escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
