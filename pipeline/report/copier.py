"""What makes the small copies of pictures: in threads of this process, or in tasks of a Ray cluster."""

import hashlib
import io
import itertools
import json
import logging
import os
import re
import sys
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from PIL import Image

from pipeline import images, storage
from pipeline.options import DEFAULT_DECODING, Decoding

THUMB, VIEW = 256, 768
"""Long sides in pixels: of pictures in the gallery, and of copies that stand in for a large picture, at most."""

QUALITY, EFFORT = 74, 2
"""The settings of WebP. More effort takes three times as long for a file 4 % smaller."""

LOST_CAUSE = 3
"""Pictures that may fail at one endpoint, other than by being absent or broken, before no more are read there."""

NAME = re.compile(r"[0-9a-f]{20}\.webp")
SECONDS = 20.0
"""Seconds that decoding a picture for a small copy may take, at most: a page can do without one."""

_SIMULTANEOUS = max(2, min(8, os.cpu_count() or 2))
WORTH_A_CLUSTER = 200
"""Pictures that threads copy about as soon as tasks would have started."""

_OF_A_TASK, _TASK_CPUS = 32, 0.5
"""Pictures of one task, some seconds of work, and what it takes."""

Wanted = tuple[str, Mapping[str, int]]
"""The URI of a picture, and the pixels of the long side of each copy of it by the copy's name."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


def copy_name(uri: str, version: object, side: int) -> str:
    """Return the name of a small copy of a picture, without .webp.

    Args:
        uri: of the picture.
        version: JSON that changes when the picture does.
        side: pixels of the long side; a smaller picture keeps its own.
    """
    return hashlib.sha256(json.dumps([uri, version, side, QUALITY, EFFORT]).encode()).hexdigest()[:20]


class Copier:
    """Makes small copies of pictures in a folder; stops to ask an endpoint that is gone."""

    def __init__(self, folder: str, limits: Decoding = DEFAULT_DECODING) -> None:
        self.folder = folder
        self.limits = limits.model_copy(update={"decode_timeout": min(SECONDS, limits.decode_timeout)})
        self.lost: Counter[str] = Counter()

    def file(self, name: str) -> str:
        """Return the URI of a copy."""
        return storage.join(self.folder, f"{name}.webp")

    def identity(self, uri: str) -> str | None:
        """Return what changes with a picture; None for one that cannot be looked up."""
        return self._patiently(uri, lambda: storage.identity(uri))

    def copy(self, wanted: Wanted) -> Collection[str]:
        """Make copies of a picture, and return their names; none for a picture that cannot be read.

        Raises:
            StorageError: if a copy cannot be written.
        """
        uri, sides = wanted
        data = self._patiently(uri, lambda: storage.read_bytes(uri))
        if data is None:
            return ()
        try:
            made = {name: shrink(data, side, self.limits) for name, side in sides.items()}
        except Exception as error:  # whatever a picture does to a decoder is no reason to have no page
            _log.info("no small copy of %s: %s", uri, error)
            return ()
        for name, copy in made.items():
            storage.write_bytes(self.file(name), copy)
        return made

    def is_lost(self, uri: str) -> bool:
        """Return whether the endpoint of a picture is known not to answer."""
        return self.lost[_endpoint(uri)] >= LOST_CAUSE

    def _patiently(self, uri: str, ask: Callable[[], T]) -> T | None:
        """Return what a request to storage gives; None where it fails, or its endpoint is known not to answer.

        Each request is repeated for minutes. Thousands of them to a server that is gone would take days.
        """
        if self.is_lost(uri):
            return None
        try:
            return ask()
        except storage.StorageError as error:
            if not isinstance(error, storage.NotFound | storage.WrongKind):
                self.lost[_endpoint(uri)] += 1
            _log.info("no small copy: %s", error)
            return None


def _endpoint(uri: str) -> str:
    """Return what of a URI names the server or bucket; empty for this machine."""
    return "/".join(uri.split("/")[:3]) if storage.is_uri(uri) else ""


def copies_made(copier: Copier, todo: Iterator[Wanted], count: int) -> Iterator[Collection[str]]:
    """Yield names of copies as they are made, by tasks of the cluster where many are, else by threads here.

    Args:
        copier: makes them.
        todo: what is to be made; no more of it is taken than can be begun.
        count: how many pictures that may be.
    """
    if count >= WORTH_A_CLUSTER and is_connected():
        return _in_tasks(copier, todo)
    return _in_threads(copier, todo)


def is_connected() -> bool:
    """Return whether this process is connected to a Ray cluster; one that has not loaded Ray is not."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def _in_threads(copier: Copier, todo: Iterator[Wanted]) -> Iterator[Collection[str]]:
    """Yield the names of the copies of each picture, made by threads of this process."""
    with ThreadPoolExecutor(_SIMULTANEOUS) as pool:
        waiting = deque(pool.submit(copier.copy, wanted) for wanted in itertools.islice(todo, 2 * _SIMULTANEOUS))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(copier.copy, wanted) for wanted in itertools.islice(todo, 1))


def _in_tasks(copier: Copier, todo: Iterator[Wanted]) -> Iterator[Collection[str]]:
    """Yield the names of the copies of some pictures, made by tasks of the cluster."""
    import ray

    task = ray.remote(num_cpus=_TASK_CPUS)(_some)
    carried = storage.Carried(_copied)
    nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
    at_once = max(2, int(2 * sum(node["Resources"].get("CPU", 0) for node in nodes()) / _TASK_CPUS))
    running: list[Any] = []
    while some := list(itertools.islice(todo, _OF_A_TASK)):
        running.append(task.remote(carried, copier, some))
        if len(running) >= at_once:
            done, running = ray.wait(running)
            yield from _gathered(copier, ray.get(done))
    yield from _gathered(copier, ray.get(running))


def _some(carried: storage.Carried[Any, Any], copier: Copier, some: list[Wanted]) -> Any:
    """Make copies of some pictures in a task, which may open what the process that made the page may."""
    return carried(copier, some)


def _copied(copier: Copier, some: list[Wanted]) -> tuple[list[str], Counter[str]]:
    """Return the names of the copies that were made of some pictures, and failures by endpoint."""
    return [name for names in _in_threads(copier, iter(some)) for name in names], copier.lost


def _gathered(copier: Copier, answers: Iterable[tuple[list[str], Counter[str]]]) -> Iterator[list[str]]:
    """Yield the names of copies that tasks have made, and note which endpoints did not answer them."""
    for names, lost in answers:
        copier.lost |= lost
        yield names


def shrink(data: bytes, side: int, limits: Decoding = DEFAULT_DECODING) -> bytes:
    """Return a picture as WebP with its long side at `side` pixels, or at its own if that is shorter.

    Raises:
        ImageError: if it is no picture.
    """
    pixels, _ = images.decode_to(data, images.within(side), limits=limits, min_side=1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=QUALITY, method=EFFORT)
    return buffer.getvalue()
