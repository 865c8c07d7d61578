"""Kinds of TIFF that no decoder here reads: what each is by its tags, and how to convert it."""

from collections.abc import Mapping

from PIL.TiffImagePlugin import COMPRESSION_INFO

from pipeline.words import counted

BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, EXTRA_SAMPLES, SAMPLE_FORMAT = 258, 259, 262, 277, 338, 339
"""Tags that say how pixels are stored."""

_FORMATS = {2: "signed integers", 3: "floats", 5: "complex integers", 6: "complex floats"}
_COLOURS = {
    0: "grey, with white as zero",
    1: "grey",
    2: "RGB",
    3: "a palette of colours",
    4: "a mask",
    5: "inks, such as CMYK",
    6: "YCbCr",
    8: "CIE Lab",
    9: "ICC Lab",
    10: "ITU Lab",
    32844: "LogL, high dynamic range",
    32845: "LogLuv, high dynamic range",
}
_COMPRESSIONS = {
    9: "JBIG",
    10: "JBIG",
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG of DNG",
    34933: "PNG",
    34934: "JPEG XR",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_RGB, _INKS, _HAS_ALPHA = 2, 5, (1, 2)
_DEEP = (0, 1, 2, 5)
"""Colours that are read with 16 bits too."""

_BANDS_OF = {0: 1, 1: 1, 2: 3, 3: 1, 4: 1, 5: 4, 6: 3, 8: 3, 9: 3, 10: 3}
_USUAL = "export it as a TIFF or PNG, RGB or grey, of 8 or 16 bits"

BIG_ENDIAN_BIG = (
    "the file is a BigTIFF in big-endian byte order, which is not read: save it as a TIFF of the usual kind (not "
    "BigTIFF), in little-endian (IBM PC) byte order, or as PNG"
)
"""The message of a BigTIFF in the byte order that Pillow reads in TIFF alone."""


def refusal(tags: Mapping[int, tuple[int, ...]]) -> str | None:
    """Return what a TIFF is that no decoder has accepted, and how to convert it; None where its tags do not tell.

    Args:
        tags: of its picture, those that hold integers; many bands have as many values.
    """
    compression = tags.get(COMPRESSION, (1,))[0]
    if compression not in COMPRESSION_INFO:
        name = _COMPRESSIONS.get(compression, f"a rare kind, number {compression}")
        return f"the TIFF is compressed by {name}, which is not read: save it again with LZW, Deflate or no compression"
    formats = {*tags.get(SAMPLE_FORMAT, (1,))}
    if PHOTOMETRIC not in tags or _is_usual(tags, formats):
        return None
    photometric = tags[PHOTOMETRIC][0]
    colours = _COLOURS.get(photometric, f"colours of a rare kind, number {photometric}")
    return f"the TIFF is {colours}, {_stored(tags, formats)}, which is not read: {_advice(tags, formats)}"


def _is_usual(tags: Mapping[int, tuple[int, ...]], formats: set[int]) -> bool:
    """Return whether such pictures are read, so that this file must be damaged or cut short."""
    photometric, bands, bits = tags[PHOTOMETRIC][0], tags.get(SAMPLES, (1,))[0], max(tags.get(BITS, (1,)))
    if formats != {1} or photometric not in _BANDS_OF or bits > 16:
        return False
    is_deep = bits > 8
    may_have_opacity = photometric != _INKS and not (is_deep and photometric != _RGB)
    return bands <= _BANDS_OF[photometric] + may_have_opacity and not (is_deep and photometric not in _DEEP)


def _stored(tags: Mapping[int, tuple[int, ...]], formats: set[int]) -> str:
    """Return in words how many bands a picture has, and of how many bits."""
    bands, bits = tags.get(SAMPLES, (1,))[0], sorted({*tags.get(BITS, (1,))})
    words = f"{counted(bands, 'band')} of {' and '.join(map(str, bits))} bits"
    kinds = [_FORMATS[kind] for kind in sorted(formats) if kind in _FORMATS]
    words += f" ({' and '.join(kinds)})" if kinds else ""
    return words + (", one of them opacity (alpha)" if {*tags.get(EXTRA_SAMPLES, ())} & {*_HAS_ALPHA} else "")


def _advice(tags: Mapping[int, tuple[int, ...]], formats: set[int]) -> str:
    """Return how to convert a picture, by the first of its traits that no decoder here takes."""
    photometric, bands = tags[PHOTOMETRIC][0], tags.get(SAMPLES, (1,))[0]
    bits, usual = max(tags.get(BITS, (1,))), _BANDS_OF.get(photometric, 3)
    if formats & {5, 6}:
        return f"make one number of each pixel, such as its magnitude, and {_USUAL}"
    if 3 in formats:
        return f"scale black and white to the range of integers, and {_USUAL}"
    if 2 in formats or bits > 16:
        return _USUAL + ", integers without a sign"
    if bands > usual and photometric != _INKS:
        if usual == 1:
            return f"{_USUAL}, with one band, or with red, green, blue and perhaps opacity"
        return f"of its {bands} bands, export red, green and blue alone, as a TIFF or PNG"
    return _USUAL
