"""Grey levels of more than 8 bits, as scanners, cameras and programs of science write them, to 8 bits."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.images.errors import ImageError

Levels = NDArray[np.generic]
"""Grey levels (H, W), integers or floats."""

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2

_FEW = 0.005
"""The share of pixels that may lie outside a range and are clipped: hot pixels, and edges that were sharpened."""

_OVER = 1.25
"""How far beyond white the highlights of floats may go and be clipped."""

_UNCLEAR = 16
"""How many times white floats must reach to be taken for those of the next wider range."""

_UNDER = -0.25
"""The share of white below zero from which on levels are not taken for a picture's."""


@dataclass(frozen=True)
class Scale:
    """What the levels of a file mean.

    Attributes:
        kind: the type that they have in the file, where Pillow hands them over as another of the same size.
        white: the level that is white.
        inverted: whether 0 is white instead, and that level black.
    """

    kind: np.dtype[np.generic]
    white: float
    inverted: bool


def scale_of(image: Image.Image, bands: Iterable[Levels]) -> Scale | None:
    """Return what the levels of a picture mean; None where they are 8 bits without a sign, which need no scale.

    Args:
        image: the picture, decoded, with the tags of its file.
        bands: its levels, in parts.

    Raises:
        ImageError: if the levels do not tell their range, so that the picture would be black or burnt out.
    """
    tags = getattr(image, "tag_v2", {})
    signed = tags.get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED
    inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    bits = tags.get(_BITS, (16,))[0]
    if image.mode == "L" and signed:
        return Scale(np.dtype(np.int8), _white(bands, np.dtype(np.int8), (127,)), inverted)
    if image.mode == "F":
        return Scale(np.dtype(np.float32), _white(bands, np.dtype(np.float32), (1, 255, 65535)), inverted)
    if not image.mode.startswith("I"):
        return None
    if bits == 32:
        # Pillow hands over unsigned 32 bits as signed ones.
        kind: np.dtype[np.generic] = np.dtype(np.int32 if signed else np.uint32)
        return Scale(kind, _white(bands, kind, (255, 65535, 2**31 - 1 if signed else 2**32 - 1)), inverted)
    kind = np.dtype(np.int32 if image.mode == "I" else ">u2" if image.mode == "I;16B" else np.uint16)
    return Scale(kind, _white(bands, kind, ((2 ** (bits - 1) if signed else 2**bits) - 1,)), inverted)


def to_bytes(levels: Levels, scale: Scale) -> NDArray[np.uint8]:
    """Return levels (H, W) as 0..255; those outside the scale are clipped, and what is no number is 0."""
    return _rounded(levels, scale, 255).astype(np.uint8)


def to_words(levels: Levels, scale: Scale) -> NDArray[np.uint16]:
    """Return levels (H, W) of 16 bits as 0..65535; those outside the scale are clipped."""
    return _rounded(levels, scale, 65535).astype(np.uint16)


def _rounded(levels: Levels, scale: Scale, most: int) -> NDArray[np.float32]:
    """Return levels as 0..most, half a level above what is to be cut off."""
    shares = np.nan_to_num(levels.view(scale.kind).astype(np.float32), nan=0.0) * np.float32(most / scale.white)
    shares = np.clip(shares, 0, most)
    return np.asarray((most - shares if scale.inverted else shares) + np.float32(0.5))


def _white(bands: Iterable[Levels], kind: np.dtype[np.generic], whites: tuple[float, ...]) -> float:
    """Return the level that is white: the least of some that all but a few levels keep to.

    Args:
        bands: the levels, in parts.
        kind: their type.
        whites: levels that white may have, ascending.

    Raises:
        ImageError: if many are below zero, or if too many floats exceed a level and too few reach the next.
    """
    floats = kind.kind == "f"
    over = [white * _OVER if floats else white for white in whites]
    above, below, beyond, count = (np.zeros(len(whites)) for _ in range(4))
    for band in bands:
        levels = band.view(kind)
        above += [float(np.count_nonzero(levels > limit)) for limit in over]
        if floats:
            beyond += [float(np.count_nonzero(levels > limit * _UNCLEAR)) for limit in whites]
        if kind.kind != "u":
            below += [float(np.count_nonzero(levels < limit * _UNDER)) for limit in whites]
        count += levels.size
    few = _FEW * count
    place = int(np.argmax(above <= few)) if (above <= few).any() else len(whites) - 1
    white = whites[place]
    if floats and (above[place] > few[place] or (place and beyond[place - 1] <= few[place])):
        raise ImageError(
            f"its levels are floats of no range that is known: many exceed {whites[max(place - 1, 0)]:g}, and few come "
            f"near {white:g}: export it as integers, or with levels from 0 to 1"
        )
    if below[place] > few[place]:
        raise ImageError(f"many of its levels are far below zero, and white is {white:g}: export it with levels from 0")
    return white
