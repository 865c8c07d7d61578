"""The colours of pictures, from whatever space a file says they are in to sRGB."""

import io
import logging
from collections.abc import Callable

import numpy as np
from PIL import ExifTags, Image, ImageCms

from pipeline.images.errors import ImageError
from pipeline.images.profile import ADOBE_GAMMA, ADOBE_RGB, BT2020, DISPLAY_P3, SRGB, Curve, Primaries, profile_of

_UNCALIBRATED, _ADOBE_BY_SOME = 65535, 2
_GAMMA_OF_SRGB = 1 / 2.2
_CLOSE = 0.05
"""The share by which a gamma may differ from sRGB's and count as it, as in libpng."""

_SPACES = {1: SRGB, 2: SRGB, 9: BT2020, 12: DISPLAY_P3}
"""Primaries by their number in ITU-T H.273; 2: not given."""

_CURVES: dict[int, Curve] = {4: 2.2, 5: 2.8, 8: 1.0} | dict.fromkeys((1, 2, 6, 13, 14, 15), "sRGB")
"""Transfer functions by their number in ITU-T H.273. Those of cameras for television are shown like sRGB's."""

_HIGH_RANGE = {16: "PQ", 18: "HLG"}

_logger = logging.getLogger(__name__)


def profile_in(image: Image.Image) -> bytes | None:
    """Return the colour profile of a picture as its file gives it, in whatever way; None: it is sRGB.

    PNG's order of precedence is that of its specification: cICP, iCCP, sRGB, gAMA with cHRM. Other formats that come
    from videos prefer the profile to the numbers.

    Args:
        image: a picture of which only the header was read.

    Raises:
        ImageError: for pictures of high dynamic range.
    """
    embedded: bytes | None = image.info.get("icc_profile")
    if "cicp" in image.info and (not embedded or image.format == "PNG"):
        return _of_video(*image.info["cicp"])
    if embedded or "srgb" in image.info:
        return embedded
    if "gamma" in image.info:
        return _of_gamma(image.info["gamma"], image.info.get("chromaticity"))
    is_adobe_rgb = image.mode in ("RGB", "RGBA") and _is_adobe_rgb(image)
    return profile_of("Adobe RGB", ADOBE_RGB, ADOBE_GAMMA) if is_adobe_rgb else None


def _of_video(primaries: int, transfer: int) -> bytes | None:
    """Return the profile of colours given by numbers; None for sRGB's, and those that are not known."""
    if transfer in _HIGH_RANGE:
        raise ImageError(
            f"the picture is of high dynamic range ({_HIGH_RANGE[transfer]}): export it as sRGB, in JPEG or PNG"
        )
    space, curve = _SPACES.get(primaries), _CURVES.get(transfer)
    if space is None or curve is None:
        _logger.warning("colours ignored: unknown primaries %d or transfer %d", primaries, transfer)
        return None
    return None if (space, curve) == (SRGB, "sRGB") else profile_of("video", space, curve)


def _of_gamma(gamma: float, chromaticity: tuple[float, ...] | None) -> bytes | None:
    """Return the profile of PNG's gAMA and cHRM; None where they are those of sRGB, or mean nothing."""
    primaries = SRGB
    if chromaticity:
        white, red, green, blue = zip(chromaticity[::2], chromaticity[1::2], strict=True)
        given = Primaries(white, red, green, blue)
        primaries = given if given.differ(SRGB) else SRGB
    try:
        curve: Curve = "sRGB" if abs(gamma / _GAMMA_OF_SRGB - 1) < _CLOSE else 1 / gamma
        return None if (primaries, curve) == (SRGB, "sRGB") else profile_of("PNG", primaries, curve)
    except (ValueError, ZeroDivisionError) as error:
        _logger.warning("gamma and chromaticities ignored: %s", error)
        return None


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Return whether EXIF says so, as cameras do instead of a profile (DCF 2.0: R03), or by the number 2."""
    try:
        tags = Image.Image.getexif(image)
        taken = tags.get_ifd(ExifTags.IFD.Exif)
        space = taken.get(ExifTags.Base.ColorSpace)
        if space == _ADOBE_BY_SOME:
            return True
        return space == _UNCALIBRATED and tags.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex) == "R03"
    except Exception:  # Whatever a broken EXIF block makes the parser do.
        return False


def conversion(mode: str, profile: bytes | None) -> Callable[[Image.Image], Image.Image]:
    """Return a function from L, RGB, CMYK or LAB pictures to sRGB, by a colour profile if that is valid and fits."""
    if profile and mode != "LAB":
        try:
            return _by_profile(mode, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        except Exception as error:  # Profiles are written by anyone; a bad one is no reason to lose the picture.
            _logger.warning("colour profile ignored: %s", error)
    return _plainly


def _plainly(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


def _by_profile(mode: str, source: ImageCms.ImageCmsProfile) -> Callable[[Image.Image], Image.Image]:
    """Return a function from pictures of a mode to RGB in sRGB by their colour profile; raise where it does not fit."""
    space = source.profile.xcolor_space.strip()
    via = "RGB" if (space, mode) == ("RGB", "L") else mode
    if {"GRAY": "L"}.get(space, space) != via:
        raise ValueError(f"a {space} profile on a {mode} picture")
    transform = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        via,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if via == "RGB" and _changes_nothing(transform):
        return _plainly

    def convert(image: Image.Image) -> Image.Image:
        return ImageCms.applyTransform(image if via == mode else image.convert(via), transform) or image

    return convert


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Return whether a transform leaves colours from all over the cube where they are, to a level: it is from sRGB."""
    steps = np.array([0, 20, 64, 128, 190, 255], dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    moved = ImageCms.applyTransform(Image.fromarray(cube), transform)
    return moved is not None and int(np.abs(np.asarray(moved).astype(int) - cube).max()) <= 1
