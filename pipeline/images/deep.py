"""Pictures of 16 bits a colour: all their bits, of which Pillow hands over the upper eight of RGB.

Pillow's decoders unpack 16 bits in either byte order, and keep one byte of the two: a second pass over the file that
takes them in the wrong order has the others.
"""

import sys
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.images import levels, tiff
from pipeline.images.curves import to_srgb

Deep = NDArray[np.uint16]
"""A picture, uint16 (H, W, 3), RGB in sRGB."""

_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""The wrong byte order by the right one: big-endian, little-endian, that of this machine."""

_COLOURS = ("RGB;16", "RGBX;16", "RGBA;16")
_PLANAR, _SAMPLE_FORMAT = 284, 339
_SEPARATE = 2

_BAND_PIXELS = 2**20
"""Pixels that are converted at a time, in floats of 64 bits."""


def is_deep(image: Image.Image) -> bool:
    """Return whether a picture, of which only the header was read, has 16 bits of each colour that can be had.

    Those of other formats than PNG and TIFF, and rare kinds of both, give their upper 8 bits.
    """
    tiles = getattr(image, "tile", ())
    if image.format not in ("PNG", "TIFF") or not tiles:
        return False
    tags = getattr(image, "tag_v2", {})
    if image.mode in ("I;16", "I;16B"):
        return bool(tags.get(_SAMPLE_FORMAT, (1,))[0] == 1)
    unusual = tags.get(_PLANAR) == _SEPARATE or set(tags.get(_SAMPLE_FORMAT, (1,))) != {1}
    return not unusual and all(_raw_mode(each)[:-1] in _COLOURS for each in tiles)


def decoded(
    image: Image.Image, again: Callable[[], Image.Image], profile: bytes | None, *, opacity: bool = False
) -> Deep | None:
    """Return the pixels of a picture for which `is_deep` holds, in sRGB, on white where it is transparent.

    Args:
        image: the picture, of which only the header was read.
        again: opens it once more.
        profile: its colour profile; None: it is sRGB.
        opacity: whether one that is transparent anywhere is returned with its opacity, (H, W, 4).

    Returns:
        uint16 (H, W, 3) as it is stored; None for a profile that only holds for 8 bits here, such as one of tables.
    """
    is_grey = image.mode.startswith("I")
    convert = to_srgb(profile, grey=is_grey)
    if convert is None:
        return None
    upper, lower = (image, None) if is_grey else (image, _in_other_order(again()))
    for each in (upper, lower):
        if each is not None:
            each.load()
    transparent = image.info.get("transparency")
    pixels = np.full((image.height, image.width, 3 + opacity), 65535, np.uint16)
    height = max(1, _BAND_PIXELS // image.width)
    scale = levels.scale_of(image, [np.asarray(image)]) if is_grey else None
    for top in range(0, image.height, height):
        box = (0, top, image.width, min(top + height, image.height))
        if lower is None:
            assert scale is not None
            stored = levels.to_words(np.asarray(upper.crop(box)), scale)[..., None]
            hidden = np.asarray(upper.crop(box)) == transparent if isinstance(transparent, int) else None
            alpha = None if hidden is None else np.where(hidden, 0, 1.0)
        else:
            stored = np.asarray(upper.crop(box)).astype(np.uint16) << 8 | np.asarray(lower.crop(box))
            has_alpha = stored.shape[2] == 4 and not image.info.get(tiff.NO_ALPHA)
            alpha = stored[..., 3] / 65535 if has_alpha else None
        colours = convert(stored[..., :3] / 65535)
        part = pixels[box[1] : box[3]]
        if alpha is not None and opacity:
            part[..., 3] = np.rint(65535 * alpha)
        elif alpha is not None:
            colours = 1 + alpha[..., None] * (colours - 1)
        part[..., :3] = np.rint(65535 * colours)
    return pixels[..., :3] if opacity and pixels[..., 3].min() == 65535 else pixels


def _in_other_order(image: Image.Image) -> Image.Image:
    """Make a picture, of which only the header was read, give the lower bytes of its levels, and return it."""
    file: Any = image  # one that Pillow opened has tiles
    file.tile = [each._replace(args=_swapped(each)) for each in file.tile]
    return image


def _swapped(tile: object) -> object:
    """Return what a tile's decoder is told, with the wrong byte order."""
    raw, args = _raw_mode(tile), getattr(tile, "args", ())
    other = raw[:-1] + _OTHER_ORDER[raw[-1]]
    return other if isinstance(args, str) else (other, *args[1:])


def _raw_mode(tile: object) -> str:
    """Return how a tile's decoder unpacks pixels, such as RGB;16B."""
    args = getattr(tile, "args", ())
    return cast(str, args if isinstance(args, str) else args[0] if args else "")
