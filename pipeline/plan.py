"""What will run: sizes and batches, decided from metadata alone, minus what is done already."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from nst_kernel import ALGORITHM_VERSION
from nst_kernel.sizes import fit
from pipeline import images, storage
from pipeline.items import Batch, Failure, PlannedRow
from pipeline.manifest import Row, derive_id

HEADER_BYTES = 256 * 1024
"""As much of a picture as is read for its size; the few whose header is longer are read whole."""

BYTES_PER_PIXEL = 1700
"""What optimising holds for each pixel in fp32: about 1.36 kB of activations, and ten pairs of L-BFGS history."""

MAX_BATCH_PIXELS = 4_000_000
"""Pixels of a batch at most, where the memory of an actor is not known."""


@dataclass(frozen=True)
class Plan:
    """The batches to run, and how many rows need none since they are done."""

    batches: tuple[Batch, ...]
    done: int

    @property
    def rows(self) -> int:
        """To be computed."""
        return sum(len(batch.rows) for batch in self.batches)


def fingerprint(row: Row, encoder_sha256: str) -> str:
    """Of what was asked: the row's meaning and the version of the algorithm. Equal ones need no second run."""
    meaning = [derive_id(row.content, row.style, row.params, encoder_sha256), row.output, ALGORITHM_VERSION]
    return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()[:16]


def plan(
    rows: Sequence[Row],
    *,
    encoder_sha256: str,
    finished: Mapping[str, str],
    batch_size: int,
    workers: int = 1,
    memory: float | None = None,
    owners: Mapping[str, str] | None = None,
    shape_of: Callable[[Sequence[Row]], list[tuple[int, int] | Failure]] | None = None,
) -> Plan:
    """Group what is not done yet into batches of equal shape and settings.

    Args:
        rows: what is asked.
        encoder_sha256: of the weights.
        finished: fingerprint by id of what is done.
        batch_size: rows in a batch at most; pictures of many pixels go fewer together.
        workers: actors that will share the batches; a group is cut so that none of them need stay idle.
        memory: bytes that an actor has; a batch stays within it, and a picture that cannot fails at once.
        owners: id by output name of pictures that are there; a row does not overwrite another id's picture.
        shape_of: (height, width) of each row's output, or why there is none; by default from the pictures' headers.
    """
    asked = [(row, fingerprint(row, encoder_sha256)) for row in rows]
    todo = [(row, mark) for row, mark in asked if finished.get(row.id) != mark]
    shapes = (shape_of or output_shapes)([row for row, _ in todo])
    groups: defaultdict[tuple[object, ...], list[PlannedRow]] = defaultdict(list)
    for (row, mark), shape in zip(todo, shapes, strict=True):
        outcome = shape if isinstance(shape, Failure) else _refused(row, shape, owners or {}, memory) or shape
        if isinstance(outcome, Failure):
            groups[("failed",)].append(PlannedRow(row, mark, None, outcome))
        else:
            groups[(outcome, *row.params.graph)].append(PlannedRow(row, mark, outcome))
    most = int(memory / BYTES_PER_PIXEL) if memory else MAX_BATCH_PIXELS
    batches = [
        Batch(tuple(group[start : start + size]))
        for group in groups.values()
        for size in [_rows_together(group, batch_size, workers, most)]
        for start in range(0, len(group), size)
    ]
    return Plan(tuple(batches), done=len(rows) - len(todo))


def _refused(row: Row, shape: tuple[int, int], owners: Mapping[str, str], memory: float | None) -> Failure | None:
    """Why a row must not even be tried, if so."""
    owner = owners.get(row.output, row.id)
    if owner != row.id:
        return Failure(
            "OutputTaken", f"output {row.output} is the picture of row {owner}: give one of them another name"
        )
    needed = shape[0] * shape[1] * BYTES_PER_PIXEL
    if memory and needed > memory:
        return Failure(
            "TooLarge",
            f"{shape[1]} x {shape[0]} px need about {needed / 1e9:.1f} GB, an actor has {memory / 1e9:.1f} GB: "
            "ask for a smaller size, or run fewer actors",
        )
    return None


def _rows_together(group: Sequence[PlannedRow], batch_size: int, workers: int, most_pixels: int) -> int:
    if group[0].shape is None:
        return 100
    height, width = group[0].shape
    fair = -(-len(group) // workers)
    return max(1, min(batch_size, fair, most_pixels // (height * width)))


def output_shapes(rows: Sequence[Row]) -> list[tuple[int, int] | Failure]:
    """(height, width) of each row's output, from the header of the picture that decides it, or why there is none."""
    deciding = [row.content or row.style or "" for row in rows]
    distinct = sorted(set(deciding))
    with ThreadPoolExecutor(16) as pool:
        sizes = dict(zip(distinct, pool.map(_source_size, distinct), strict=True))

    def shape(row: Row, source: str) -> tuple[int, int] | Failure:
        size = sizes[source]
        if isinstance(size, Failure):
            return size
        return fit(size[0], size[1], size=row.params.size, upscale=row.params.upscale)

    return [shape(row, source) for row, source in zip(rows, deciding, strict=True)]


def _source_size(uri: str) -> tuple[int, int] | Failure:
    """(height, width) of a picture, upright, from its header."""
    try:
        head = storage.read_bytes(uri, end=HEADER_BYTES)
        try:
            info = images.probe(head)
        except images.ImageError:
            if len(head) < HEADER_BYTES:
                raise
            info = images.probe(storage.read_bytes(uri))
    except (storage.StorageError, images.ImageError) as error:
        return Failure.of(error, "" if isinstance(error, storage.StorageError) else uri)
    return info.height, info.width
