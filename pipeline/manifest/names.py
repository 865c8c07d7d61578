"""Default names of pictures: made from the names of a row's pictures, or from an id that somebody gave."""

import functools
import hashlib
import posixpath
import re
import unicodedata
import urllib.parse

from pipeline import storage
from pipeline.manifest.ids import is_derived
from pipeline.manifest.roles import each_of

MAX_NAME = 255
"""Bytes of a file's or folder's name: what every file system takes."""

_MAX_WORD = 60
"""Characters of a content's or style's name in the name of a result."""

_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
"""What Windows takes for a device, with whatever extension."""


def default_output(id: str, content: str | None, style: str | None) -> str:
    """Return the name below images/ of the picture of a row that names none: `cat-night-0f1e2d3c4b5a6978.png`.

    It does not depend on what other rows there are. An id that somebody gave is a name by itself, `ID.png`. Every name
    is one that file systems, Windows and object stores take: ASCII letters and digits, without folders.

    Args:
        id: of the row; one that was derived is the suffix that keeps names apart.
        content: URI of the content picture, None if the row has none.
        style: URI of the style picture, or of several with `|` between them; None if the row has none.
    """
    if not is_derived(id):
        return _safe_output(id)
    words = [word for word in (_word("content", content), _word_again("style", style)) if word]
    return f"{'-'.join([*words, id])}.png"


def former_output(id: str) -> str:
    """Return the name that a picture had by default before names were made from contents and styles: its id's."""
    name = f"{id if id.isascii() and id.isalnum() else urllib.parse.quote(id, safe='')}.png"
    return name if len(name) <= MAX_NAME else f"{hashlib.sha256(id.encode()).hexdigest()[:16]}.png"


def name_in_fingerprint(output: str, id: str) -> str:
    """Return the name of a picture as fingerprints have it: the one that was given, or else the former default.

    So rows are still done that were computed when the default was another one, and rows whose given name only resembles
    their id: it is theirs, letter by letter.
    """
    return former_output(id) if _is_default(output, id) else output


def _is_default(output: str, id: str) -> bool:
    """Return whether a row has this name by default, whatever words earlier versions made it from."""
    after_words = "/" not in output and is_derived(id) and output.endswith(f"-{id}.png")
    return after_words or output == _safe_output(id)


def possible_outputs(output: str, id: str) -> set[str]:
    """Return the names that the picture of a row may be written to: its own, and the former default in its place."""
    return {output, name_in_fingerprint(output, id)}


def id_within(output: str) -> str:
    """Return the id of the row whose default name this is, if it is one: the suffix, or all but the extension."""
    name = output.removesuffix(".png")
    suffix = name.rpartition("-")[2]
    return suffix if is_derived(suffix) else name


def _safe_output(id: str) -> str:
    """Return the name of a picture after an id that somebody gave."""
    name = former_output(id)
    return f"%{ord(name[0]):02X}{name[1:]}" if _RESERVED.fullmatch(name) else name


def _word(role: str, uris: str | None) -> str:
    """Return the names of the pictures of a role as a part of a file's name, empty if nothing of them can be."""
    return "+".join(filter(None, map(_plain, each_of(role, uris))))[:_MAX_WORD].strip("_-+")


_word_again = functools.lru_cache(maxsize=4096)(_word)
"""`_word`, kept for the next row: rows are many, styles few."""


def _plain(uri: str) -> str:
    """Return a picture's name in letters and digits, without folder and extension."""
    name = urllib.parse.unquote(storage.without_query(uri).rstrip("/").rpartition("/")[2])
    stem = posixpath.splitext(name)[0]
    if stem.isascii() and stem.isalnum():  # as most are, of a million
        return stem
    ascii = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9-]+", "_", ascii).strip("_-")
