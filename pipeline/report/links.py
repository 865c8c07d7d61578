"""The links on the page: to pictures near it, to files of this machine, and to the web, and to nothing else."""

import functools
import posixpath
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage

_WEB = ("https://", "http://")
_DISK = "file://"
_UNKNOWN = (".tif", ".tiff")
"""Extensions of pictures that most browsers do not show."""

_SAFE = "/~+@=,!()'"
_SAFE_URI = _SAFE + ":?&%#[]*$;"


def href(uri: str | None, *, page: str, output: str) -> str | None:
    """Return a link to a picture, percent-encoded; None where a browser cannot follow one, or must not.

    Args:
        uri: of the picture.
        page: the folder of the page.
        output: the folder of the run. From a page below it, its pictures are named relative to the page, so that the
            folder can be moved, copied or served as it is.
    """
    if uri is None:
        return None
    if _below(uri, output) and _below(page, output):
        folder, _, name = uri.rpartition("/")
        way = _way(folder, page)
        return quote(f"{way}/{name}" if way else name, safe=_SAFE)
    if uri.lower().startswith(_WEB):
        return quote(uri, safe=_SAFE_URI)
    local = storage.local_path(uri)
    if local is None or not local.startswith("/") or "\\" in local:
        return None
    # Two slashes, as backslashes, would name another host on Windows, where a browser would log in to show the picture.
    return f"{_DISK}/{quote(local.lstrip('/'), safe=_SAFE)}"


def shown_here(link: str | None) -> bool:
    """Return whether the page may show what a link leads to: one near it, of a kind that browsers know."""
    return link is not None and not link.lower().startswith(_WEB) and not link.lower().endswith(_UNKNOWN)


def is_web(uri: str) -> bool:
    """Return whether a URI is that of a web server."""
    return uri.lower().startswith(_WEB)


def names(uris: pa.Array) -> pa.Array:
    """Return names for distinct URIs, the shortest ends that differ: `cat.jpg`, or `a/cat.jpg` and `b/cat.jpg`."""
    given, trimmed = uris, pc.utf8_rtrim(uris, characters="/")
    left = pa.array(np.arange(len(uris)))
    for segments in (1, 2, 3):
        left_over = trimmed.take(left)
        ends = pc.extract_regex(left_over, f"(?P<end>(?:[^/]*/){{0,{segments - 1}}}[^/]*)$").field("end")
        encoded = ends.dictionary_encode()
        alone = pa.array(np.bincount(encoded.indices.to_numpy(), minlength=1)[encoded.indices.to_numpy()] == 1)
        given = pc.replace_with_mask(given, _mask(len(uris), left.filter(alone)), ends.filter(alone))
        left = left.filter(pc.invert(alone))
    return given


def _mask(count: int, places: pa.Array) -> pa.Array:
    """Return which of so many elements are at the given places."""
    mask = np.zeros(count, np.bool_)
    mask[places.to_numpy()] = True
    return pa.array(mask)


def _below(uri: str, folder: str) -> bool:
    """Return whether a URI is a folder or below it."""
    return uri == folder or uri.startswith(folder.rstrip("/") + "/")


@functools.lru_cache(maxsize=1024)
def _way(folder: str, page: str) -> str:
    """Return the path from the folder of a page to another one; empty if it is the same. Many pictures share it."""
    way = posixpath.relpath(_path(folder), _path(page))
    return "" if way == "." else way


def _path(uri: str) -> str:
    """Return a URI without its scheme; return a path unchanged."""
    return uri.partition("://")[2] if storage.is_uri(uri) else uri
