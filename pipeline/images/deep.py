"""Pictures of 16 bits a colour with all their bits, where Pillow hands over the upper eight of RGB.

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

Alpha = NDArray[np.float64]
"""Opacity, (H, W) in [0, 1]."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a part of a picture."""

_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""The wrong byte order by the right one: big-endian, little-endian, that of this machine."""

_KINDS = ("RGB;16", "RGBX;16", "RGBA;16", "LA;16")
_PLANAR, _SAMPLE_FORMAT = 284, 339
_SEPARATE = 2

_BAND_PIXELS = 2**20
"""Pixels that are converted at a time, in floats of 64 bits."""


def is_deep(image: Image.Image) -> bool:
    """Return whether a picture, whose header alone was read, has 16 bits of each colour that can be decoded.

    Those of other formats than PNG and TIFF, and rare kinds of both, give their upper 8 bits.
    """
    tiles = getattr(image, "tile", ())
    if image.format not in ("PNG", "TIFF") or not tiles:
        return False
    tags = getattr(image, "tag_v2", {})
    if image.mode in ("I;16", "I;16B"):
        return bool(tags.get(_SAMPLE_FORMAT, (1,))[0] == 1)
    unusual = tags.get(_PLANAR) == _SEPARATE or set(tags.get(_SAMPLE_FORMAT, (1,))) != {1}
    return not unusual and all(_raw_mode(each)[:-1] in _KINDS for each in tiles)


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
    convert = to_srgb(profile, grey=not _kind(image).startswith("RGB"))
    if convert is None:
        return None
    read = _levels_of(image, again)
    pixels = np.full((image.height, image.width, 3 + opacity), 65535, np.uint16)
    height = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, height):
        box = (0, top, image.width, min(top + height, image.height))
        stored, alpha = read(box)
        colours = convert(stored / 65535)
        part = pixels[box[1] : box[3]]
        if alpha is not None and opacity:
            part[..., 3] = np.rint(65535 * alpha)
        elif alpha is not None:
            colours = 1 + alpha[..., None] * (colours - 1)
        part[..., :3] = np.rint(65535 * colours)
    return pixels[..., :3] if opacity and pixels[..., 3].min() == 65535 else pixels


def _levels_of(image: Image.Image, again: Callable[[], Image.Image]) -> Callable[[Box], tuple[Deep, Alpha | None]]:
    """Read a picture, and return what gives the levels of a box of it, (h, w, 3) or (h, w, 1), and its opacity."""
    kind = _kind(image)
    if kind.startswith("LA"):
        return _of_grey_and_opacity(image)
    return _of_colours(image, _in_other_order(again())) if kind.startswith("RGB") else _of_grey(image)


def _of_colours(upper: Image.Image, lower: Image.Image) -> Callable[[Box], tuple[Deep, Alpha | None]]:
    """Read a picture in colours from two images: one gives the upper bytes of its levels, the other the lower."""
    upper.load()
    lower.load()

    def read(box: Box) -> tuple[Deep, Alpha | None]:
        stored = np.asarray(upper.crop(box)).astype(np.uint16) << 8 | np.asarray(lower.crop(box))
        has_alpha = stored.shape[2] == 4 and not upper.info.get(tiff.NO_ALPHA)
        return stored[..., :3], stored[..., 3] / 65535 if has_alpha else None

    return read


def _of_grey(image: Image.Image) -> Callable[[Box], tuple[Deep, Alpha | None]]:
    """Read a grey picture that may have one transparent level."""
    image.load()
    transparent, scale = image.info.get("transparency"), levels.scale_of(image, [np.asarray(image)])
    assert scale is not None  # only levels of 8 bits have none

    def read(box: Box) -> tuple[Deep, Alpha | None]:
        stored = np.asarray(image.crop(box))
        alpha = np.where(stored == transparent, 0, 1.0) if isinstance(transparent, int) else None
        return levels.to_words(stored, scale)[..., None], alpha

    return read


def _of_grey_and_opacity(image: Image.Image) -> Callable[[Box], tuple[Deep, Alpha | None]]:
    """Read a grey picture with opacity: two words a pixel, which are read as if they were four colours of a byte."""
    file: Any = image
    file.tile = [each._replace(args="RGBA") for each in file.tile]
    image.load()

    def read(box: Box) -> tuple[Deep, Alpha | None]:
        stored = np.asarray(image.crop(box)).astype(np.uint16)
        words = np.asarray(stored[..., ::2] << 8 | stored[..., 1::2], np.uint16)
        return words[..., :1], words[..., 1] / 65535

    return read


def _in_other_order(image: Image.Image) -> Image.Image:
    """Make a picture, whose header alone was read, give the lower bytes of its levels, and return it."""
    file: Any = image  # one that Pillow opened has tiles
    file.tile = [each._replace(args=_swapped(each)) for each in file.tile]
    return image


def _swapped(tile: object) -> object:
    """Return what a tile's decoder is told, with the wrong byte order."""
    raw, args = _raw_mode(tile), getattr(tile, "args", ())
    other = raw[:-1] + _OTHER_ORDER[raw[-1]]
    return other if isinstance(args, str) else (other, *args[1:])


def _kind(image: Image.Image) -> str:
    """Return how the pixels of a picture, whose header alone was read, are unpacked, such as RGB;16B."""
    file: Any = image
    return _raw_mode(file.tile[0])


def _raw_mode(tile: object) -> str:
    """Return how a tile's decoder unpacks pixels, such as RGB;16B."""
    args = getattr(tile, "args", ())
    return cast(str, args if isinstance(args, str) else args[0] if args else "")
