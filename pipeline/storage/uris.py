"""Operations on URIs, which are strings: joining, resolving, making absolute."""

import posixpath
from pathlib import Path


def is_uri(text: str) -> bool:
    """Return whether a string has a scheme, such as s3://."""
    return "://" in text


def resolve(uri: str, base: str) -> str:
    """Return the URI that a relative path means within a folder; an absolute path or URI is returned as it is.

    Args:
        uri: a path or URI, as a manifest or job file names it.
        base: the folder that relative paths start from.
    """
    if is_uri(uri) or uri.startswith("/"):
        return uri
    scheme, separator, path = join(base, uri).rpartition("://")
    if separator and {".", ".."} & set(path.split("/")):  # an object store would take dots for parts of a name
        path = posixpath.normpath(path)
    return f"{scheme}{separator}{path}"


def parent(uri: str) -> str:
    """Return the folder that holds a file."""
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
    path = uri.removeprefix("file://")
    return path if is_uri(path) else posixpath.normpath(Path(path).absolute())
