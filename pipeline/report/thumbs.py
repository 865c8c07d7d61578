"""Small copies of pictures, made when the page is made; named after what they show, so that a second page has them."""

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

THUMB, VIEW = 256, 768
"""Long sides in pixels: of pictures in the gallery, and at most of those that stand in for a large one."""

QUALITY, EFFORT = 74, 2
"""Of WebP. More effort takes three times as long for a file 4 % smaller."""

LOST_CAUSE = 3
"""Pictures that may fail at one endpoint, other than by being absent or broken, before no more are asked for there."""

_NAME = re.compile(r"[0-9a-f]{20}\.webp")
_SIMULTANEOUS = max(2, min(8, os.cpu_count() or 2))

LOOKING = 16
"""Pictures that are looked at at once: that is waiting, not work."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Shelf:
    """The small copies beside one page."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._wanted: dict[str, dict[str, int]] = {}
        self._lost: Counter[str] = Counter()

    def want(self, uri: str, version: object, *, side: int) -> str:
        """Ask for a copy of a picture with its long side at `side` pixels or its own; the copy's name, without .webp.

        Args:
            uri: of the picture.
            version: JSON that changes when the picture does.
            side: pixels.
        """
        meaning = json.dumps([uri, version, side, QUALITY, EFFORT])
        name = hashlib.sha256(meaning.encode()).hexdigest()[:20]
        self._wanted.setdefault(uri, {})[name] = side
        return name

    def versions(self, uris: Collection[str]) -> dict[str, str | None]:
        """What tells whether a picture changed, by URI; None of those that cannot be had."""

        def one(uri: str) -> str | None:
            return self._patiently(uri, lambda: storage.identity(uri))

        with ThreadPoolExecutor(LOOKING) as pool:
            return dict(zip(uris, pool.map(one, uris), strict=True))

    def make(self, *, seconds: float | None = None) -> tuple[set[str], int]:
        """Make what is not there yet, many at once.

        Args:
            seconds: after which no more are begun; None: any number.

        Returns:
            The names of copies that are there, and how many pictures time did not suffice for. Pictures that cannot
            be had or decoded have none.

        Raises:
            StorageError: if copies cannot be listed or written.
        """
        there = self._there()
        asked = {
            uri: {name: side for name, side in sides.items() if name not in there}
            for uri, sides in self._wanted.items()
        }
        todo = {uri: sides for uri, sides in asked.items() if sides}
        ends = None if seconds is None else time.monotonic() + seconds

        def one(uri: str) -> bool:
            if ends is not None and time.monotonic() > ends:
                return False
            there.update(self._copies(uri, todo[uri]))
            return True

        with ThreadPoolExecutor(_SIMULTANEOUS) as pool:
            begun = list(pool.map(one, todo))
        return there & self._names(), begun.count(False)

    def tidy(self) -> None:
        """Delete copies that nothing asked for.

        Raises:
            StorageError: if one cannot be deleted.
        """
        with ThreadPoolExecutor(_SIMULTANEOUS) as pool:
            list(pool.map(lambda name: storage.remove(self._file(name)), self._there() - self._names()))

    def _names(self) -> set[str]:
        return {name for sides in self._wanted.values() for name in sides}

    def _there(self) -> set[str]:
        try:
            found = storage.list_files(self.folder, suffix=".webp")
        except storage.NotFound:
            return set()
        names = (uri.rpartition("/")[2] for uri in found)
        return {name.removesuffix(".webp") for name in names if _NAME.fullmatch(name)}

    def _file(self, name: str) -> str:
        return storage.join(self.folder, f"{name}.webp")

    def _copies(self, uri: str, sides: Mapping[str, int]) -> Collection[str]:
        """Names of the copies that were made; none of a picture that cannot be had."""
        data = self._patiently(uri, lambda: storage.read_bytes(uri))
        if data is None:
            return ()
        try:
            made = {name: shrink(data, side) for name, side in sides.items()}
        except Exception as error:  # whatever a picture does to a decoder is no reason to have no page
            _log.info("no small copy of %s: %s", uri, error)
            return ()
        for name, copy in made.items():
            storage.write_bytes(self._file(name), copy)
        return made

    def _patiently(self, uri: str, ask: Callable[[], T]) -> T | None:
        """What storage says of a picture, or None; where an endpoint is lost, it is not asked any more.

        Each question is repeated for minutes. Thousands of them to a server that is no more would take days.
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


def shrink(data: bytes, side: int) -> bytes:
    """A picture as WebP with its long side at `side` pixels, or at its own if that is shorter.

    Raises:
        ImageError: if it is no picture.
    """
    # Twice the size on the way, at least: what is averaged from that looks as if averaged from all.
    picture = Image.fromarray(images.decode(data, min_side=1, at_least=2 * side))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=EFFORT)
    return buffer.getvalue()
