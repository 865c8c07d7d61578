"""What may be opened: places, given as the beginnings of URIs, and how large a file may be."""

import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.storage.places import plain
from pipeline.storage.uris import WEB, absolute, local_path

DEFAULT = "default"
"""Stands in a list of places for those that are allowed where nothing is said."""

READ = ("/", "s3://", "gs://", "abfs://", "http://", "https://")
"""What may be read by default: regular files of this machine, object stores, and public addresses."""

WRITE = ("/", "s3://", "gs://", "abfs://")
"""What may be written by default."""

MAX_BYTES = 2 * 2**30
"""Bytes that one file may have by default: more than any picture within the limit of pixels, and than weights."""

EXPECTED = (
    "expected default, an absolute path, or the beginning of a URI, such as s3://bucket/folder or https://host:8443 "
    "(a host without a path)"
)

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s/:@\[\]?#]+)?(?::([0-9]+))?/?", re.IGNORECASE)


def split(uri: str) -> tuple[str, str]:
    """Return the scheme of a URI, one for all its spellings, and what follows; of a path '' and the absolute path."""
    if local_path(uri) is not None:
        return "", absolute(uri)
    scheme, _, rest = plain(uri).partition("://")
    return scheme, rest


def check_place(text: str) -> None:
    """Raise ValueError unless a text is `default`, an absolute path, or the beginning of a URI."""
    path = local_path(text)
    if path is not None:
        usable = text == DEFAULT or path.startswith("/")
    else:
        scheme, rest = split(text)
        usable = (_HOST.fullmatch(rest) if scheme in WEB else _SCHEME.fullmatch(scheme)) is not None
    if not usable:
        raise ValueError(f"{EXPECTED}, not {text!r}")


@dataclass(frozen=True)
class Allowed:
    """What may be opened, as a run's options say it, or an operator; None says nothing.

    Attributes:
        read: beginnings of the URIs that may be read, `default` for the usual ones. What may be written may be read.
        write: beginnings of the URIs that may be written.
        max_bytes: bytes that one file may have to be read.
        by: the operator's file or variable that says so; empty for a run's options.

    Raises:
        ValueError: for a place that is none, or a limit below 1.
    """

    read: tuple[str, ...] | None = (DEFAULT,)
    write: tuple[str, ...] | None = (DEFAULT,)
    max_bytes: int | None = MAX_BYTES
    by: str = ""

    def __post_init__(self) -> None:
        for place in (*(self.read or ()), *(self.write or ())):
            check_place(place)
        if self.max_bytes is not None and self.max_bytes < 1:
            raise ValueError(f"{self.max_bytes}: expected bytes, 1 or more")

    def covers(self, uri: str, *, write: bool) -> bool:
        """Return whether a URI may be opened, as far as its text tells: of an address in the web, whether any may."""
        scheme, rest = split(uri)
        if (self.write if write else self.read) is None:
            return True
        return any(
            own == scheme and (scheme in WEB or _is_below(rest, root, is_path=not scheme))
            for own, root in self._places(write=write)
        )

    def names_host(self, scheme: str, host: str, port: int | None) -> bool:
        """Return whether a host of the web is named, so that it may have any address; without a port, at any port."""
        named = (_HOST.fullmatch(rest) for own, rest in self._places(write=False) if own == scheme)
        wanted = {(host.strip("[]").rstrip(".").lower(), at) for at in (port, None)}
        return any(
            (name.strip("[]").rstrip(".").lower(), int(at) if at else None) in wanted
            for name, at in (match.groups() for match in named if match)
            if name
        )

    def has_public(self, scheme: str) -> bool:
        """Return whether every public address may be read by this scheme."""
        return self.read is None or (scheme, "") in self._places(write=False)

    def _places(self, *, write: bool) -> frozenset[tuple[str, str]]:
        """Return scheme and beginning of what may be opened; what may be written may be read too."""
        written = _places(self.write or (), WRITE)
        return written if write else written | _places(self.read or (), READ)


@functools.lru_cache(maxsize=64)
def _places(places: tuple[str, ...], usual: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    """Return places as pairs of a scheme and what follows it, `default` replaced by what it stands for."""

    def each() -> Iterator[str]:
        for place in places:
            yield from usual if place == DEFAULT else (place,)

    return frozenset((scheme, rest if rest == "/" else rest.rstrip("/")) for scheme, rest in map(split, each()))


def _is_below(place: str, root: str, *, is_path: bool) -> bool:
    """Return whether a place is a root or lies below it; links of paths are followed."""
    if root in ("", "/"):
        return True
    if is_path:
        place, root = os.path.realpath(place), os.path.realpath(root)
    elif {".", ".."} & set(place.split("/")):  # some gateways resolve them, and would leave the root
        return False
    return place == root or place.startswith(root.rstrip("/") + "/")
