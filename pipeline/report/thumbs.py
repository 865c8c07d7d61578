"""The small copies of pictures on the page, named after what they show, so that a later page finds them."""

import hashlib
import io
import json
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from PIL import Image

from pipeline import images, storage
from pipeline.options import DEFAULT_DECODING, Decoding

THUMB, VIEW = 256, 768
"""Long sides in pixels: of pictures in the gallery, and of copies that stand in for a large picture, at most."""

QUALITY, EFFORT = 74, 2
"""The settings of WebP. More effort takes three times as long for a file 4 % smaller."""

LOST_CAUSE = 3
"""Pictures that may fail at one endpoint, other than by being absent or broken, before no more are read there."""

_NAME = re.compile(r"[0-9a-f]{20}\.webp")
_SIMULTANEOUS = max(2, min(8, os.cpu_count() or 2))

SECONDS = 20.0
"""Seconds that decoding a picture for a small copy may take, at most: a page can do without one."""

LOOKING = 16
"""Pictures whose versions are looked up at once: that is waiting, not work."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Shelf:
    """The small copies of the pictures of one page."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._wanted: dict[str, dict[str, int]] = {}
        self._lost: Counter[str] = Counter()

    def want(self, uri: str, version: object, *, side: int) -> str:
        """Request a copy of a picture, and return the name of the copy without .webp.

        Args:
            uri: of the picture.
            version: JSON that changes when the picture does.
            side: pixels of the long side; a smaller picture keeps its own.
        """
        content = json.dumps([uri, version, side, QUALITY, EFFORT])
        name = hashlib.sha256(content.encode()).hexdigest()[:20]
        self._wanted.setdefault(uri, {})[name] = side
        return name

    def versions(self, uris: Collection[str]) -> dict[str, str | None]:
        """Return by URI what changes with a picture; None for one that cannot be read."""

        def one(uri: str) -> str | None:
            return self._patiently(uri, lambda: storage.identity(uri))

        with ThreadPoolExecutor(LOOKING) as pool:
            return dict(zip(uris, pool.map(one, uris), strict=True))

    def make(self, *, seconds: float | None = None, limits: Decoding = DEFAULT_DECODING) -> tuple[set[str], int]:
        """Create the requested small copies of pictures, except those that exist already, many at once.

        Args:
            seconds: after which no more are begun; None: any number.
            limits: what decoding a picture may take.

        Returns:
            The names of requested copies that exist, and for how many pictures there was no time. Pictures that cannot
            be read or decoded have no copies.

        Raises:
            StorageError: if copies cannot be listed or written.
        """
        there = self._there()
        missing = {
            uri: {name: side for name, side in sides.items() if name not in there}
            for uri, sides in self._wanted.items()
        }
        todo = {uri: sides for uri, sides in missing.items() if sides}
        ends = None if seconds is None else time.monotonic() + seconds

        def one(uri: str) -> bool:
            if ends is not None and time.monotonic() > ends:
                return False
            there.update(self._copies(uri, todo[uri], limits))
            return True

        limits = limits.model_copy(update={"decode_timeout": min(SECONDS, limits.decode_timeout)})
        with ThreadPoolExecutor(_SIMULTANEOUS) as pool:
            begun = list(pool.map(one, todo))
        return there & self._names(), begun.count(False)

    def tidy(self) -> None:
        """Delete copies that were not requested.

        Raises:
            StorageError: if one cannot be deleted.
        """
        with ThreadPoolExecutor(_SIMULTANEOUS) as pool:
            list(pool.map(lambda name: storage.remove(self._file(name)), self._there() - self._names()))

    def _names(self) -> set[str]:
        """Return the names of all requested copies."""
        return {name for sides in self._wanted.values() for name in sides}

    def _there(self) -> set[str]:
        """Return the names of the copies that already exist in the folder."""
        try:
            copies = storage.list_files(self.folder, suffix=".webp")
        except storage.NotFound:
            return set()
        names = (uri.rpartition("/")[2] for uri in copies)
        return {name.removesuffix(".webp") for name in names if _NAME.fullmatch(name)}

    def _file(self, name: str) -> str:
        """Return the URI of a copy."""
        return storage.join(self.folder, f"{name}.webp")

    def _copies(self, uri: str, sides: Mapping[str, int], limits: Decoding) -> Collection[str]:
        """Make copies of a picture, and return their names; none for a picture that cannot be read."""
        data = self._patiently(uri, lambda: storage.read_bytes(uri))
        if data is None:
            return ()
        try:
            made = {name: shrink(data, side, limits) for name, side in sides.items()}
        except Exception as error:  # whatever a picture does to a decoder is no reason to have no page
            _log.info("no small copy of %s: %s", uri, error)
            return ()
        for name, copy in made.items():
            storage.write_bytes(self._file(name), copy)
        return made

    def _patiently(self, uri: str, ask: Callable[[], T]) -> T | None:
        """Return what a request to storage gives; None where it fails, or its endpoint is known not to answer.

        Each request is repeated for minutes. Thousands of them to a server that is gone would take days.
        """
        endpoint = "/".join(uri.split("/")[:3]) if storage.is_uri(uri) else ""
        if self._lost[endpoint] >= LOST_CAUSE:
            return None
        try:
            return ask()
        except storage.StorageError as error:
            if not isinstance(error, storage.NotFound | storage.WrongKind):
                self._lost[endpoint] += 1
            _log.info("no small copy: %s", error)
            return None


def shrink(data: bytes, side: int, limits: Decoding = DEFAULT_DECODING) -> bytes:
    """Return a picture as WebP with its long side at `side` pixels, or at its own if that is shorter.

    Raises:
        ImageError: if it is no picture.
    """
    pixels, _ = images.decode_to(data, images.within(side), limits=limits, min_side=1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=QUALITY, method=EFFORT)
    return buffer.getvalue()
