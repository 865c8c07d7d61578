"""Operations on URIs, which are strings: taking apart, joining, resolving, making absolute."""

import os
import posixpath
import re
from urllib.parse import unquote_to_bytes

WEB = ("http", "https")

VERSION = "?versionId="
"""What stands between the name of an object on S3 and the version of it that is wanted."""

_NEVER_IN_NAMES = re.compile(rb"(%2[fF]|%00)")

_THIS_MACHINE = ("", "file", "local")
"""Schemes of paths of this machine; a path by itself has none."""


def split_scheme(uri: str) -> tuple[str, str]:
    """Return the scheme of a URI and what follows its `://`; of a path an empty scheme and the path.

    Nothing but the first `://` is looked for: `::` stands in the names of files and objects as any other letters do,
    and never makes a chain of file systems of them.
    """
    scheme, separator, rest = uri.partition("://")
    return (scheme, rest) if separator and scheme and "/" not in scheme else ("", uri)


def is_uri(text: str) -> bool:
    """Return whether a string has a scheme, such as s3://."""
    return split_scheme(text)[0] != ""


def is_on_the_web(uri: str) -> bool:
    """Return whether a URI is a web address."""
    return split_scheme(uri)[0].lower() in WEB


def without_query(uri: str) -> str:
    """Return a URI as far as it names a file, whose ending tells its kind: without a query, signature or version.

    Only web addresses have queries, and names on S3 versions: elsewhere a question mark is a letter of a name.
    """
    scheme = split_scheme(uri)[0].lower()
    if scheme in WEB:
        return uri.partition("#")[0].partition("?")[0]
    return uri.partition(VERSION)[0] if scheme in ("s3", "s3a") else uri


def local_path(uri: str) -> str | None:
    """Return the path of this machine that a URI or path means; None for other stores.

    Of a `file://` URI with percent signs, a look at the file system tells whether they are letters or escapes.
    """
    scheme, path = split_scheme(uri)
    if scheme == "file" and "%" in path:
        return _decoded(path)
    return path if scheme in _THIS_MACHINE else None


def _decoded(path: str) -> str:
    """Return the path that a `file://` URI means: as it is written if that is there, else with its escapes decoded.

    `%2F` and `%00` stay, since no name has a slash or a zero byte: a decoded path has the folders of the written one.
    """
    if os.path.lexists(path):
        return path
    parts = _NEVER_IN_NAMES.split(os.fsencode(path))
    return os.fsdecode(b"".join(part if place % 2 else unquote_to_bytes(part) for place, part in enumerate(parts)))


def resolve(uri: str, base: str) -> str:
    """Return the URI that a relative path means within a folder; an absolute path or URI is returned as it is.

    Args:
        uri: a path or URI, as a manifest or job file names it.
        base: the folder that relative paths start from.
    """
    if is_uri(uri) or uri.startswith("/"):
        return uri
    scheme, path = split_scheme(join(base, uri))
    if scheme and {".", ".."} & set(path.split("/")):  # an object store would take dots for parts of a name
        path = posixpath.normpath(path)
    return f"{scheme}://{path}" if scheme else path


def parent(uri: str) -> str:
    """Return the folder that holds a file."""
    uri = without_query(uri)
    head, slash, _ = uri.rpartition("/")
    if not slash:
        return "."
    return uri if head.endswith(":/") else head or "/"


def join(base: str, *names: str) -> str:
    """Return the URI of a file or folder below another.

    Args:
        base: the folder; empty for none.
        names: parts of the path below it. Dots in a path of this machine are resolved, in a URI they stay.
    """
    joined = "/".join([base.rstrip("/") or "/", *names]) if base else "/".join(names)
    return joined if is_uri(joined) else posixpath.normpath(joined)


def absolute(uri: str) -> str:
    """Return a path of this machine as an absolute one, which every process understands; other URIs as they are."""
    path = local_path(uri)
    return uri if path is None else posixpath.abspath(path)
