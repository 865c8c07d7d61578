"""The links on the page: to pictures near it, to files of this machine, and to the web, and to nothing else."""

import posixpath
from collections.abc import Sequence
from urllib.parse import quote

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
        return quote(posixpath.relpath(_path(uri), _path(page)), safe=_SAFE)
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


def names(uris: Sequence[str]) -> list[str]:
    """Return names for URIs, the shortest ends that differ: `cat.jpg`, or `a/cat.jpg` and `b/cat.jpg`."""
    given = [""] * len(uris)
    left = list(range(len(uris)))
    for segments in (1, 2, 3):
        owners: dict[str, list[int]] = {}
        for k in left:
            owners.setdefault("/".join(uris[k].rstrip("/").split("/")[-segments:]), []).append(k)
        for name, having in owners.items():
            if len(having) == 1:
                given[having[0]] = name
        left = [k for having in owners.values() if len(having) > 1 for k in having]
    for k in left:
        given[k] = uris[k]
    return given


def _below(uri: str, folder: str) -> bool:
    """Return whether a URI is a folder or below it."""
    return uri == folder or uri.startswith(folder.rstrip("/") + "/")


def _path(uri: str) -> str:
    """Return a URI without its scheme; return a path unchanged."""
    return uri.partition("://")[2] if storage.is_uri(uri) else uri
