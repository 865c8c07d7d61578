"""URIs as strings: joined, resolved, made absolute."""

import posixpath
from pathlib import Path


def is_uri(text: str) -> bool:
    """Whether a string has a scheme, such as s3://."""
    return "://" in text


def resolve(uri: str, base: str) -> str:
    """A relative path as a URI within the folder `base`; an absolute path or a URI with a scheme as it is."""
    if is_uri(uri) or uri.startswith("/"):
        return uri
    scheme, separator, path = join(base, uri).rpartition("://")
    if separator and {".", ".."} & set(path.split("/")):  # object stores take dots at their word
        path = posixpath.normpath(path)
    return f"{scheme}{separator}{path}"


def parent(uri: str) -> str:
    """The folder that holds a file."""
    head, slash, _ = uri.rpartition("/")
    if not slash:
        return "."
    return uri if head.endswith(":/") else head or "/"


def join(base: str, *names: str) -> str:
    """A file or folder below `base`. Dots in a path of this machine are resolved, in a URI they stay."""
    joined = "/".join([base.rstrip("/") or "/", *names]) if base else "/".join(names)
    return joined if is_uri(joined) else posixpath.normpath(joined)


def absolute(uri: str) -> str:
    """A path of this machine made absolute, so that it means the same in every process; other URIs as they are."""
    path = uri.removeprefix("file://")
    return path if is_uri(path) else posixpath.normpath(Path(path).absolute())
