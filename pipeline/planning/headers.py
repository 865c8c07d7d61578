"""Shapes of pictures from their headers: fetched by threads of this process, or by tasks of a cluster where many are.

Only child processes parse them (`images.probe`): the first bytes of a file can hang or crash a parser as any others.
"""

import functools
import pickle
from collections.abc import Callable, Mapping, Sequence

from pipeline import images, storage
from pipeline.options import DEFAULT_DECODING, Decoding
from pipeline.planning.batch import Failure

HEADER_BYTES = 256 * 1024
"""As much of a picture as is read for its size; the few whose header is longer are read whole."""

AT_ONCE = 16
"""Headers that a process reads side by side."""

WORTH_A_CLUSTER = 2000
"""Headers that threads read about as soon as tasks would have started."""

PER_TASK, TASK_CPUS = 500, 0.5

Shape = tuple[int, int] | Failure
"""(height, width) of a picture as it is shown, pixels, or why it has none."""

Probe = Callable[[Sequence[str], Decoding], Mapping[str, Shape]]
"""Shapes of distinct pictures by their URIs, given what decoding one may take."""


def shape_of(uri: str, limits: Decoding = DEFAULT_DECODING) -> Shape:
    """Return the (height, width) of a picture after EXIF orientation, read from its header.

    Args:
        uri: of the picture.
        limits: what decoding it may take.
    """
    try:
        head = storage.read_bytes(uri, end=HEADER_BYTES)
        try:
            info = images.probe(head, limits=limits)
        except images.ImageError:
            if len(head) < HEADER_BYTES:
                raise
            info = images.probe(storage.read_bytes(uri), limits=limits)
    except (storage.StorageError, images.ImageError) as error:
        return Failure.of(error, "" if isinstance(error, storage.StorageError) else uri)
    return info.height, info.width


def probe(uris: Sequence[str], limits: Decoding = DEFAULT_DECODING) -> dict[str, Shape]:
    """Return the shapes of pictures by URI, read by tasks of the cluster where many are, else by threads here."""
    import ray

    if len(uris) >= WORTH_A_CLUSTER and ray.is_initialized():
        return _probe_on_cluster(uris, limits)
    return probe_here(uris, limits)


def probe_here(uris: Sequence[str], limits: Decoding = DEFAULT_DECODING) -> dict[str, Shape]:
    """Return the shapes of pictures by URI, fetched by threads of this process and read by its child processes."""
    read = functools.partial(shape_of, limits=limits)
    return dict(zip(uris, storage.map_in_threads(read, uris, threads=AT_ONCE), strict=True))


def _probe_on_cluster(uris: Sequence[str], limits: Decoding) -> dict[str, Shape]:
    import ray.data

    tasks = [{"uris": list(uris[start : start + PER_TASK])} for start in range(0, len(uris), PER_TASK)]
    answers = ray.data.from_items(tasks, override_num_blocks=len(tasks)).map(
        storage.Carried(functools.partial(_probe_some, limits=limits)), num_cpus=TASK_CPUS
    )
    return {uri: shape for answer in answers.iter_rows() for uri, shape in pickle.loads(answer["shapes"]).items()}


def _probe_some(task: dict[str, list[str]], limits: Decoding) -> dict[str, bytes]:
    return {"shapes": pickle.dumps(probe_here([str(uri) for uri in task["uris"]], limits))}
