"""The colours of pictures, from whatever space a file says they are in to sRGB."""

import io
import logging

from PIL import Image, ImageCms

_logger = logging.getLogger(__name__)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an L, RGB, CMYK or LAB picture as RGB in sRGB, by its colour profile if that is valid and fits."""
    if profile and image.mode != "LAB":
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" in ImageCms.getProfileDescription(source):
                return image.convert("RGB")
            space = source.profile.xcolor_space.strip()
            if space == "RGB" and image.mode == "L":
                image = image.convert("RGB")
            if {"GRAY": "L"}.get(space, space) != image.mode:
                raise ValueError(f"a {space} profile on a {image.mode} picture")
            converted = ImageCms.profileToProfile(
                image,
                source,
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            if converted is not None:
                return converted
        except Exception as error:  # Profiles are written by anyone; a bad one is no reason to lose the picture.
            _logger.warning("colour profile ignored: %s", error)
    return image.convert("RGB")
