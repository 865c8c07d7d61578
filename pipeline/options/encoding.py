"""How pictures are written."""

from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema

from pipeline.options.model import Options, option


def _depth(bits: int) -> int:
    """Return a depth that pictures can be written with."""
    if bits not in (8, 16):
        raise ValueError("expected 8 or 16")
    return bits


Depth = Annotated[int, AfterValidator(_depth), WithJsonSchema({"type": "integer", "enum": [8, 16]})]
"""Bits of each colour of a pixel: 8 or 16."""


ColorProfile = Literal["srgb", "keep"]
"""The colour profile that pictures are written with: sRGB's, or that of their contents."""


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
    color_profile: ColorProfile = option(
        "srgb",
        "Colour profile of the pictures of results: srgb; or keep: that of the content picture, to which they are "
        "converted, where it is one of curves and a matrix, such as Adobe RGB or Display P3.",
    )

    @property
    def bits_before(self) -> int:
        """Bits of each colour that pictures need on their way to where they are written: 16 if they are converted."""
        return 16 if self.color_profile == "keep" else self.depth


DEFAULT_ENCODING = Encoding()
