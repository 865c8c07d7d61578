"""Fetch and decode: a planned batch in, its pictures out. Errors stay with their row."""

import time
from collections.abc import Callable

from nst_kernel import StyleParams
from nst_kernel.pictures import fit
from pipeline import images, storage
from pipeline.outputs import provenance
from pipeline.planning import Batch, Failure, Fetched, Picture, Pictures, PlannedRow
from pipeline.process import watchdog


class _Reader:
    """Pictures of a batch at their sizes; one that rows share is read once, and none is kept at its full size."""

    def __init__(self) -> None:
        self.kept: dict[tuple[object, ...], Picture] = {}

    def at_shape(self, uri: str, shape: tuple[int, int], said: tuple[int, int] | None = None) -> Picture:
        """A picture at (height, width), if it has the shape that is said of it."""

        def checked(height: int, width: int) -> tuple[int, int]:
            if said and said != (height, width):
                raise images.ImageError(
                    f"{uri} is {width} x {height} px as it is shown, the manifest's columns width and height say "
                    f"{said[1]} x {said[0]}: correct them or leave them out"
                )
            return shape

        return self._read((uri, shape, said), checked)

    def within(self, uri: str, params: StyleParams) -> Picture:
        """A picture with its long side at the asked size."""
        size, upscale = params.size, params.upscale
        return self._read((uri, size, upscale), lambda height, width: fit(height, width, size=size, upscale=upscale))

    def _read(self, key: tuple[str, *tuple[object, ...]], shape: Callable[[int, int], tuple[int, int]]) -> Picture:
        if key not in self.kept:
            uri = key[0]
            data = storage.read_bytes(uri)
            watchdog.alive()
            try:
                picture = images.decode(data)
            except images.ImageError as error:
                raise images.ImageError(f"{uri}: {error}") from error
            self.kept[key] = images.resize(picture, shape(*picture.shape[:2]))
        return self.kept[key]


def fetch(batch: Batch) -> Fetched:
    """Read, decode and resize what the rows of a batch need. A row whose picture is bad gets a `Failure`."""
    started_at, clock = provenance.now(), time.perf_counter()
    reader = _Reader()
    pictures: list[Pictures | Failure] = []
    row_retries: list[int] = []
    for planned in batch.rows:
        before = storage.repeated()
        pictures.append(planned.failure or _of_row(planned, reader))
        row_retries.append(storage.repeated() - before)
    return Fetched(batch, tuple(pictures), started_at, time.perf_counter() - clock, tuple(row_retries))


def _of_row(planned: PlannedRow, reader: _Reader) -> Pictures | Failure:
    """Return the pictures that a row reads at their sizes, or why there are none."""
    named = planned.row.pictures()
    try:
        return Pictures(**{role: _sized(role, uri, planned, reader) for role, uri in named.items()})
    except (storage.StorageError, images.ImageError) as error:
        return Failure.of(error)
    except Exception as error:  # whatever a picture does to a decoder concerns its row alone
        return Failure.of(error, f"decoding {' and '.join(named.values())}")


def _sized(role: str, uri: str, planned: PlannedRow, reader: _Reader) -> Picture:
    """Return a picture at the size that its role asks for: a style keeps its shape, all others get the output's."""
    row, shape = planned.row, planned.shape
    assert shape is not None
    if role == "style":
        return reader.within(uri, row.params)
    return reader.at_shape(uri, shape, row.content_shape if role == "content" else None)
