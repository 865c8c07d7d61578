"""Which files begin like a picture that can be decoded, whatever they are called."""

from PIL import Image

from pipeline.images import heif
from pipeline.images.errors import FORMATS

BEGINNING = 64
"""Bytes that tell what a file is."""


def begins_like_picture(data: bytes) -> bool:
    """Return whether a file begins like a picture of a format that is decoded.

    Args:
        data: its first `BEGINNING` bytes, or all of a smaller one.
    """
    # Two letters are too few to tell a BMP or a PPM from a text.
    if (data.startswith(b"BM") and data[6:10] != bytes(4)) or (data.startswith(b"P") and not data[2:3].isspace()):
        return False
    Image.init()
    accepts = (Image.OPEN[name][1] for name in FORMATS)
    return heif.is_heif(data) or any(accept(data[:16]) is True for accept in accepts if accept)
