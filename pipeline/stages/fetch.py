"""The fetching stage: a planned batch in, its decoded and resized pictures out; an error concerns its row alone."""

import functools
import time
from collections.abc import Sequence

from nst_kernel.pictures import fit_style
from pipeline import images, storage
from pipeline.options import DEFAULT_DECODING, Decoding
from pipeline.outputs import provenance
from pipeline.planning import Batch, Failure, Fetched, Picture, Pictures, PlannedRow
from pipeline.process import watchdog


class _Reader:
    """Reads the pictures of a batch; one that rows share is read once, and none is kept at its full size."""

    def __init__(self, limits: Decoding) -> None:
        self.limits = limits
        self.kept: dict[tuple[object, ...], tuple[Picture, tuple[int, int]]] = {}

    def at_shape(self, uri: str, shape: tuple[int, int], expected: tuple[int, int] | None = None) -> Picture:
        """Return a picture resized to a shape.

        Args:
            uri: of the picture.
            shape: (height, width), pixels.
            expected: (height, width) that the manifest gives for the file; None: it gives none.

        Raises:
            ImageError: if it cannot be decoded, or is not of the expected shape.
            StorageError: if it cannot be read.
        """
        picture, (height, width) = self._read((uri, shape), shape)
        if expected and expected != (height, width):
            raise images.ImageError(
                f"{uri} is {width} x {height} px as it is shown, the manifest's columns width and height say "
                f"{expected[1]} x {expected[0]}: correct them or leave them out"
            )
        return picture

    def within(self, uri: str, size: int, *, scale: float, upscale: bool) -> Picture:
        """Return a style as `fit_style` sizes it, in its aspect ratio.

        Args:
            uri: of the picture.
            size: long side of the output, pixels.
            scale: long side of the style over that of the output; its own is kept where that is shorter and `upscale`
                is false.
            upscale: whether the picture may be enlarged.

        Raises:
            ImageError: if it cannot be decoded.
            StorageError: if it cannot be read.
        """
        fitting = functools.partial(fit_style, size=size, scale=scale, upscale=upscale)
        return self._read((uri, size, scale, upscale), fitting)[0]

    def _read(self, key: tuple[str, *tuple[object, ...]], size: images.Size) -> tuple[Picture, tuple[int, int]]:
        """Return a picture resized to a size, and its own (height, width); later calls reuse both."""
        if key not in self.kept:
            uri = key[0]
            with storage.neighbours_named():
                data = storage.read_bytes(uri)
            watchdog.alive()
            try:
                self.kept[key] = images.decode_to(data, size, limits=self.limits)
            except images.ImageError as error:
                raise images.ImageError(f"{uri}: {error}") from error
        return self.kept[key]


def fetch(batch: Batch, limits: Decoding = DEFAULT_DECODING) -> Fetched:
    """Read, decode and resize the pictures that the rows of a batch need.

    A row with a picture that cannot be read or decoded gets a `Failure` in the place of its pictures.

    Args:
        batch: any.
        limits: what decoding a picture may take.
    """
    started_at, clock = provenance.now(), time.perf_counter()
    reader = _Reader(limits)
    pictures: list[Pictures | Failure] = []
    row_retries: list[int] = []
    for planned in batch.rows:
        before = storage.repeated()
        pictures.append(planned.failure or _of_row(planned, reader))
        row_retries.append(storage.repeated() - before)
    return Fetched(batch, tuple(pictures), started_at, time.perf_counter() - clock, tuple(row_retries))


def _of_row(planned: PlannedRow, reader: _Reader) -> Pictures | Failure:
    """Return the pictures that a row reads at their sizes, or why there are none."""
    row, shape = planned.row, planned.shape
    assert shape is not None
    named = row.pictures()
    try:
        styles = _styles(named.pop("style", ()), planned, reader)
        sizes = {"content": row.content_shape}
        others = {role: reader.at_shape(uri, shape, sizes.get(role)) for role, (uri,) in named.items()}
        return Pictures(style=styles, **others)
    except (storage.StorageError, images.ImageError) as error:
        return Failure.of(error)
    except Exception as error:  # whatever a picture does to a decoder concerns its row alone
        return Failure.of(error, f"decoding {' and '.join(row.uris())}")


def _styles(uris: Sequence[str], planned: PlannedRow, reader: _Reader) -> tuple[Picture, ...]:
    """Return the styles of a row.

    Each keeps its aspect ratio and gets the long side of the output, times its scale, so that its strokes are as large,
    relative to the picture, in outputs of any size.
    """
    params, shape = planned.row.params, planned.shape
    assert shape is not None
    upscale = params.upscale or params.style_upscale
    return tuple(
        reader.within(uri, max(shape), scale=params.scale_of(place), upscale=upscale) for place, uri in enumerate(uris)
    )
