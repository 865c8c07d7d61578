"""The fetching stage: a planned batch in, its decoded and resized pictures out; an error concerns its row alone."""

import dataclasses
import functools
import time
from collections.abc import Sequence

import numpy as np

from nst_kernel.pictures import TILE_STEP, MaskError, fit_style, masks_of
from pipeline import images, storage
from pipeline.options import DEFAULT_DECODING, Decoding
from pipeline.outputs import provenance
from pipeline.planning import Batch, Failure, Fetched, Masks, Picture, Pictures, PlannedRow, aspect_fault
from pipeline.stages.read_ahead import ReadAhead


class _Reader:
    """Decodes the pictures of a batch; one that rows share is read once, and none is kept at its full size."""

    def __init__(self, files: ReadAhead, limits: Decoding) -> None:
        self.files, self.limits = files, limits
        self.kept: dict[tuple[object, ...], tuple[Picture, tuple[int, int]]] = {}

    def at_shape(
        self, uri: str, shape: tuple[int, int], expected: tuple[int, int] | None = None, *, opacity: bool = False
    ) -> Picture:
        """Return a picture resized to a shape.

        Args:
            uri: of the picture.
            shape: (height, width), pixels.
            expected: (height, width) that the manifest gives for the file; None: it gives none.
            opacity: whether one that is transparent keeps its opacity, as `images.decode_to` returns it.

        Raises:
            ImageError: if it cannot be decoded, or is not of the expected shape.
            StorageError: if it cannot be read.
        """
        picture, (height, width) = self._read((uri, shape), shape, opacity=opacity)
        if expected and expected != (height, width):
            raise images.ImageError(
                f"{uri} is {width} x {height} px as it is shown, the manifest's columns width and height say "
                f"{expected[1]} x {expected[0]}: correct them or leave them out"
            )
        return picture

    def within(self, uri: str, size: int, *, scale: float, upscale: bool, opacity: bool = False) -> Picture:
        """Return a style as `fit_style` sizes it, in its aspect ratio.

        Args:
            uri: of the picture.
            size: long side of the output, pixels.
            scale: long side of the style over that of the output; its own is kept where that is shorter and `upscale`
                is false.
            upscale: whether the picture may be enlarged.
            opacity: as for `at_shape`.

        Raises:
            ImageError: if it cannot be decoded.
            StorageError: if it cannot be read.
        """
        fitting = functools.partial(fit_style, size=size, scale=scale, upscale=upscale)
        return self._read((uri, size, scale, upscale), fitting, opacity=opacity)[0]

    def labels(self, uri: str) -> images.Pixels:
        """Return a mask at its own size, with the numbers that are stored.

        Raises:
            ImageError: if it cannot be decoded, or is transparent anywhere.
            StorageError: if it cannot be read.
        """
        try:
            return images.decode_labels(self.files.take(uri), limits=self.limits)
        except images.ImageError as error:
            raise type(error)(f"{uri}: {error}") from error

    def _read(
        self, about: tuple[str, *tuple[object, ...]], size: images.Size, *, opacity: bool
    ) -> tuple[Picture, tuple[int, int]]:
        """Return a picture resized to a size, and its own (height, width); later calls reuse both."""
        uri, key = about[0], (*about, opacity)
        if key not in self.kept:
            data = self.files.take(uri)
            try:
                self.kept[key] = images.decode_to(data, size, limits=self.limits, deep=True, opacity=opacity)
            except images.ImageError as error:
                raise type(error)(f"{uri}: {error}") from error
        return self.kept[key]


def fetch(batch: Batch, limits: Decoding = DEFAULT_DECODING, *, run: str = "") -> Fetched:
    """Read, decode and resize the pictures that the rows of a batch need.

    A row with a picture that cannot be read or decoded gets a `Failure` in the place of its pictures.

    Args:
        batch: any.
        limits: what decoding a picture may take.
        run: for which this process keeps files that several batches read; empty: it keeps none.
    """
    started_at, clock = provenance.now(), time.perf_counter()
    pictures: list[Pictures | Failure] = []
    row_retries: list[int] = []
    uris = (uri for planned in batch.rows if not planned.failure for uri in planned.row.uris())
    with ReadAhead(uris, run) as files:
        reader = _Reader(files, limits)
        for planned in batch.rows:
            before = files.retries
            pictures.append(planned.failure or _of_row(planned, reader))
            row_retries.append(files.retries - before)
    return Fetched(batch, tuple(pictures), started_at, time.perf_counter() - clock, tuple(row_retries))


def _of_row(planned: PlannedRow, reader: _Reader) -> Pictures | Failure:
    """Return the pictures that a row reads at their sizes, or why there are none."""
    row, shape = planned.row, planned.shape
    assert shape is not None
    named = row.pictures()
    try:
        styles = _styles(named.pop("style", ()), planned, reader)
        masks, own = named.pop("content_mask", ()), named.pop("style_mask", ())
        sizes = {"content": row.content_shape}
        opacity = {"content": row.params.transparency == "keep"}
        others = {
            role: reader.at_shape(uri, shape, sizes.get(role), opacity=opacity.get(role, False))
            for role, (uri,) in named.items()
        }
        pictures = Pictures(others.get("content"), styles, others.get("init"))
        return _with_masks(pictures, planned, reader, masks, own) if masks else pictures
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
    opacity = params.transparency == "keep"
    return tuple(
        reader.within(uri, max(shape), scale=params.scale_of(place), upscale=upscale, opacity=opacity)
        for place, uri in enumerate(uris)
    )


def _with_masks(
    pictures: Pictures, planned: PlannedRow, reader: _Reader, content: Sequence[str], own: Sequence[str]
) -> Pictures:
    """Return the pictures of a row with the masks of its regions, each at the size of its picture.

    Args:
        pictures: of the row.
        planned: the row.
        reader: of pictures.
        content: URIs of the masks of the content.
        own: URIs of the masks of the styles.

    Raises:
        ImageError: if there follow no regions from the masks.
        StorageError: if one cannot be read.
    """
    labels = {uri: reader.labels(uri) for uri in dict.fromkeys((*content, *own))}
    try:
        there, of_styles = masks_of([labels[uri] for uri in content], [labels[uri] for uri in own], len(pictures.style))
    except MaskError as error:
        raise images.ImageError(f"masks {' and '.join(labels)}: {error}") from error
    params, shape = planned.row.params, planned.shape
    assert shape is not None
    slack = params.aspect_tolerance + (TILE_STEP / min(shape) if params.tileable else 0)
    _check_aspect(content[0], there, shape, slack)
    named = own if len(own) == len(of_styles) else own[:1] or content
    for place, (masks, style) in enumerate(zip(of_styles, pictures.style, strict=True)):
        _check_aspect(named[min(place, len(named) - 1)], masks, style.shape[:2], 0)
    sized = zip(of_styles, pictures.style, strict=True)
    return dataclasses.replace(
        pictures,
        content_mask=_sized(there, shape),
        style_mask=tuple(_sized(masks, (style.shape[0], style.shape[1])) for masks, style in sized),
    )


def _sized(masks: Masks, shape: tuple[int, int]) -> Masks:
    """Return masks (R, H, W) at a (height, width); those that are the same everywhere may stay as small as they are.

    Raises:
        ImageError: for a region that would be nowhere any more.
    """
    if masks.shape[1:] == (1, 1):
        return masks
    resized = images.resize_masks(masks, shape)
    for region, (before, after) in enumerate(zip(masks, resized, strict=True), 1):
        if before.any() and not after.any():
            raise images.ImageError(
                f"region {region} is too small: {np.count_nonzero(before)} pixels of {masks.shape[2]} x "
                f"{masks.shape[1]}, of which nothing is left at {shape[1]} x {shape[0]}"
            )
    return resized


def _check_aspect(uri: str, masks: Masks, shape: tuple[int, ...], slack: float) -> None:
    """Raise ImageError for masks (R, H, W) of another aspect ratio than the picture of that (height, width)."""
    height, width = masks.shape[1:]
    if (height, width) != (1, 1) and (said := aspect_fault((height, width), (shape[0], shape[1]), slack)):
        raise images.ImageError(f"{uri}: {said}")
