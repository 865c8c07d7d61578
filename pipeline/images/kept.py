"""What a result keeps of its photo: EXIF, caption, rating and keywords, wherever the photo has them."""

import logging
from dataclasses import dataclass, field

from PIL import Image

from pipeline.images import iptc, jpeg, png, xmp
from pipeline.images.colour import profile_in
from pipeline.images.curves import from_srgb
from pipeline.images.decode import MAX_PIXELS, opened
from pipeline.images.exif import kept_tags

JPEG_HEAD = 256 * 1024
"""Bytes of most JPEGs that hold their EXIF, XMP and IPTC, which come before the pixels."""

_PNG_TEXTS = {"Title": "dc:title", "Description": "dc:description", "Copyright": "dc:rights"}
_PNG_AUTHOR = "Author"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """What a result keeps of its photo.

    Attributes:
        exif: tags; None: no tags.
        properties: of XMP, also those that the photo gives in other ways.
        iptc: its IPTC block, for JPEG.
    """

    exif: Image.Exif | None = None
    properties: xmp.Properties = field(default_factory=dict)
    iptc: bytes = b""


def may_follow(head: bytes) -> bool:
    """Return whether metadata of a photo may follow its first `JPEG_HEAD` bytes, which are given."""
    return len(head) >= JPEG_HEAD and jpeg.first_scan(head) is None


def kept_of(photo: bytes, width: int, height: int, *, srgb: bool = True) -> Kept:
    """Return what a result keeps of its photo; nothing of one that cannot be read.

    Args:
        photo: the file, or as much of it as has its metadata.
        width: of the result, pixels.
        height: of the result, pixels.
        srgb: whether the result is in sRGB.
    """
    try:
        photo = png.without_pixels(photo) if photo.startswith(png.PREFIX) else photo
        with opened(photo, MAX_PIXELS, 1) as image:
            block = iptc.block_in(image)
            properties = _texts(image) | iptc.properties(block)
            if packet := image.info.get("xmp"):
                properties |= xmp.kept(packet if isinstance(packet, bytes) else str(packet).encode())
            return Kept(kept_tags(image, width, height, srgb=srgb), properties, block)
    except Exception as error:  # metadata is written by anyone: what is broken is no reason to lose the picture
        log.warning("nothing is kept of the photo's metadata, since it cannot be read: %s", error)
        return Kept()


def profile_of_photo(photo: bytes) -> bytes | None:
    """Return the colour profile of a photo to which its result can be converted; None: it is sRGB, or of another kind.

    Args:
        photo: the file, or as much of it as has its metadata.
    """
    try:
        photo = png.without_pixels(photo) if photo.startswith(png.PREFIX) else photo
        with opened(photo, MAX_PIXELS, 1) as image:
            profile = profile_in(image)
    except Exception as error:  # as above
        log.warning("the result is in sRGB, since the photo's colour profile cannot be read: %s", error)
        return None
    if profile and from_srgb(profile) is None:
        log.warning("the result is in sRGB, since the photo's colour profile is not one of curves and a matrix")
        return None
    return profile


def _texts(image: Image.Image) -> xmp.Properties:
    """Return PNG's texts about the picture as properties of XMP."""
    if image.format != "PNG":
        return {}
    given = {key: str(image.info[key]) for key in (*_PNG_TEXTS, _PNG_AUTHOR) if image.info.get(key)}
    texts = {xmp.name(tag): xmp.text(given[key]) for key, tag in _PNG_TEXTS.items() if key in given}
    return texts | ({xmp.name("dc:creator"): xmp.items([given[_PNG_AUTHOR]])} if _PNG_AUTHOR in given else {})
