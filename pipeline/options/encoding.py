"""How pictures are written."""

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from pipeline.options.model import Options, option


def _depth(bits: int) -> int:
    """Return a depth that pictures can be written with."""
    if bits not in (8, 16):
        raise ValueError("expected 8 or 16")
    return bits


Depth = Annotated[int, AfterValidator(_depth), WithJsonSchema({"type": "integer", "enum": [8, 16]})]
"""Bits of each colour of a pixel: 8 or 16."""


class Encoding(Options):
    """How pictures are written; their format follows from their names."""

    quality: int = option(95, "Quality of JPEG, WebP and AVIF results.", library=True, ge=1, le=100)
    keep_exif: bool = option(
        False,
        "Whether a result keeps date, camera, place, caption, rating and keywords of its content picture.",
        library=True,
    )
    depth: Depth = option(
        8,
        "Bits of each colour in the pictures of results, 8 or 16; 16 for names that end in .png, .tif or .tiff alone.",
        metavar="8|16",
        unit="bits",
    )


DEFAULT_ENCODING = Encoding()
