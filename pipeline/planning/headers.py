"""Shapes of pictures from their headers: fetched by threads of this process, or by tasks of a cluster where many are.

Only child processes parse them (`images.probe`): the first bytes of a file can hang or crash a parser as any others.
"""

import functools
import itertools
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence

from pipeline import images, storage
from pipeline.options import DEFAULT_DECODING, Decoding
from pipeline.planning.batch import Failure

BEGINNINGS = (16 * 1024, 256 * 1024)
"""As much of a picture as is read for its size, and as much of one whose header is longer; then it is read whole.

Of 70 pictures from many sources each told its size within 2 kB. Photos of cameras with a preview in their EXIF may take
64 kB."""

_LATE = (".webp", ".avif", ".tif", ".tiff")
"""Extensions of files that often tell nothing until their end: with them, it begins with the larger part."""

PER_CALL = 16
"""Headers that are parsed together, where many are."""

AT_ONCE = 16
"""Headers that a process reads side by side."""

WORTH_A_CLUSTER = 2000
"""Headers that threads read about as soon as tasks would have started."""

PER_TASK, TASK_CPUS = 500, 0.5

Shape = tuple[int, int] | Failure
"""(height, width) of a picture as it is shown, pixels, or why it has none."""

Probe = Callable[[Sequence[str], Decoding], Mapping[str, Shape]]
"""Shapes of distinct pictures by their URIs, given what decoding one may take."""


def shapes_of(uris: Sequence[str], limits: Decoding = DEFAULT_DECODING) -> list[Shape]:
    """Return the (height, width) of pictures after EXIF orientation, read one after the other from their headers.

    Args:
        uris: of the pictures.
        limits: what decoding one may take.
    """
    heads = [_read(uri, end=_steps(uri)[0]) for uri in uris]
    infos = iter(images.probe_all([head for head in heads if isinstance(head, bytes)], limits=limits))
    return [
        head if isinstance(head, Failure) else _shape_of(uri, head, next(infos), limits)
        for uri, head in zip(uris, heads, strict=True)
    ]


def _read(uri: str, end: int | None = None) -> bytes | Failure:
    """Return the beginning of a file up to an offset, or all of it, or why it cannot be read."""
    try:
        with storage.neighbours_named():
            return storage.read_bytes(uri, end=end)
    except storage.StorageError as error:
        return Failure.of(error)


def _steps(uri: str) -> tuple[int, ...]:
    """Return how many bytes of a picture are read, one after the other, until they tell its size."""
    return BEGINNINGS[1:] if storage.without_query(uri).lower().endswith(_LATE) else BEGINNINGS


def _shape_of(uri: str, head: bytes, info: images.ImageInfo | images.ImageError, limits: Decoding) -> Shape:
    """Return the shape of a picture from what its beginning said, else from more of it, at last from all of it."""
    steps = _steps(uri)
    for step, end in zip(steps, (*steps[1:], None), strict=True):
        if not isinstance(info, images.ImageError) or len(head) < step:  # there is no more of it
            break
        more = _read(uri, end=end)
        if isinstance(more, Failure):
            return more
        head = more
        (info,) = images.probe_all([head], limits=limits)
    return Failure.of(info, uri) if isinstance(info, images.ImageError) else (info.height, info.width)


def probe(uris: Sequence[str], limits: Decoding = DEFAULT_DECODING) -> dict[str, Shape]:
    """Return the shapes of pictures by URI, read by tasks of the cluster where many are, else by threads here."""
    ray = sys.modules.get("ray")  # a process that has not loaded it is connected to no cluster
    if len(uris) >= WORTH_A_CLUSTER and ray and ray.is_initialized():
        return _probe_on_cluster(uris, limits)
    return probe_here(uris, limits)


def probe_here(uris: Sequence[str], limits: Decoding = DEFAULT_DECODING) -> dict[str, Shape]:
    """Return the shapes of pictures by URI, fetched by threads of this process and read by its child processes."""
    size = max(1, min(PER_CALL, len(uris) // AT_ONCE))
    parts = [uris[start : start + size] for start in range(0, len(uris), size)]
    shapes = storage.map_in_threads(functools.partial(shapes_of, limits=limits), parts, threads=AT_ONCE)
    return dict(zip(uris, itertools.chain.from_iterable(shapes), strict=True))


def _probe_on_cluster(uris: Sequence[str], limits: Decoding) -> dict[str, Shape]:
    import ray.data

    tasks = [{"uris": list(uris[start : start + PER_TASK])} for start in range(0, len(uris), PER_TASK)]
    answers = ray.data.from_items(tasks, override_num_blocks=len(tasks)).map(
        storage.Carried(functools.partial(_probe_some, limits=limits)), num_cpus=TASK_CPUS
    )
    return {uri: shape for answer in answers.iter_rows() for uri, shape in pickle.loads(answer["shapes"]).items()}


def _probe_some(task: dict[str, list[str]], limits: Decoding) -> dict[str, bytes]:
    return {"shapes": pickle.dumps(probe_here([str(uri) for uri in task["uris"]], limits))}
