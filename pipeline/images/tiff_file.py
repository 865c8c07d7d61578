"""TIFF files of 8 and 16 bits, which Pillow writes without compression or with 8 bits alone."""

import io
import itertools
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin, TiffTags

from pipeline.images.tiff_kinds import BITS, COMPRESSION, EXTRA_SAMPLES, PHOTOMETRIC, SAMPLES

_WIDTH, _HEIGHT, _OFFSETS, _ROWS, _SIZES, _PLANAR, _PREDICTOR = 256, 257, 273, 278, 279, 284, 317
_XMP, _PROFILE = 700, 34675
_DEFLATE, _RGB, _INTERLEAVED, _DIFFERENCES = 8, 2, 1, 2
_STRAIGHT_ALPHA = 2
_LEVEL = 4
_STRIP_BYTES = 256 * 1024
"""Unpacked bytes of a strip, about: readers unpack strip by strip."""


def encoded(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], *, profile: bytes, xmp: bytes, exif: Image.Exif | None
) -> bytes:
    """Return a picture as a TIFF: little-endian, packed by Deflate with differences to the left (TIFF 6.0).

    Args:
        pixels: (H, W, 3) or, with opacity, (H, W, 4), of 8 or 16 bits.
        profile: ICC profile of its colours.
        xmp: a packet.
        exif: tags that it carries.
    """
    height, width, bands = pixels.shape
    rows = max(1, min(height, _STRIP_BYTES // (width * bands * pixels.itemsize)))
    strips = [_packed(pixels[top : top + rows]) for top in range(0, height, rows)]
    sizes = [len(strip) for strip in strips]
    tags = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    for tag, value in _tags_of(exif) if exif else ():
        tags[tag] = value
    for tag in (_OFFSETS, _SIZES):
        tags.tagtype[tag] = TiffTags.LONG
    tags[_WIDTH], tags[_HEIGHT], tags[SAMPLES] = width, height, bands
    tags[BITS] = (8 * pixels.itemsize,) * bands
    tags[COMPRESSION], tags[_PREDICTOR] = _DEFLATE, _DIFFERENCES
    tags[PHOTOMETRIC], tags[_PLANAR] = _RGB, _INTERLEAVED
    if bands == 4:
        tags[EXTRA_SAMPLES] = (_STRAIGHT_ALPHA,)
    tags[_ROWS], tags[_SIZES] = rows, tuple(sizes)
    tags[_OFFSETS] = tuple(itertools.accumulate([0, *sizes[:-1]]))  # Pillow adds the place where the tags end
    tags[_PROFILE], tags[_XMP] = profile, xmp
    file = io.BytesIO()
    tags.save(file)
    return file.getvalue() + b"".join(strips)


def _tags_of(exif: Image.Exif) -> Iterator[tuple[int, Any]]:
    """Yield the tags of EXIF, those of the camera and of the place each as a directory."""
    within = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
    for tag, value in exif.items():
        if tag not in within:
            yield tag, value
    for tag in within:
        if directory := exif.get_ifd(tag):
            yield tag, directory


def _packed(rows: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """Return rows of a picture as a strip: levels are written as differences to their left neighbours."""
    differences: NDArray[Any] = rows.astype(rows.dtype.newbyteorder("<"))
    differences[:, 1:] -= rows[:, :-1]
    return zlib.compress(differences.tobytes(), _LEVEL)
