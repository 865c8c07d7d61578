"""The EXIF tags that a result keeps of its photo: when, where and with what it was taken, caption and rating."""

import logging
from typing import cast

from PIL import ExifTags, Image

_Base, _IFD = ExifTags.Base, ExifTags.IFD

KEPT = (
    *(_Base.Make, _Base.Model, _Base.DateTime, _Base.Artist, _Base.Copyright, _Base.HostComputer),
    *(_Base.ImageDescription, _Base.Rating, _Base.RatingPercent),
    *(_Base.XPTitle, _Base.XPComment, _Base.XPAuthor, _Base.XPKeywords, _Base.XPSubject),
)
"""Tags of the picture as a whole that stay. Its orientation is in the pixels now; its thumbnail is another picture."""

DROPPED = (
    _Base.MakerNote,  # its contents are addressed from the old file's beginning
    _Base.ExifVersion,  # written anew
    _Base.ComponentsConfiguration,
    _Base.CompressedBitsPerPixel,
    _Base.FlashPixVersion,
    _Base.ColorSpace,
    _Base.ExifImageWidth,
    _Base.ExifImageHeight,
    _Base.ExifInteroperabilityOffset,
    _Base.SubjectLocation,
)
"""Tags of how it was taken that do not hold for the result; all others stay."""

MOST_BYTES = 4096
"""Bytes of one tag that is kept; larger ones are private data of a program."""

SRGB, UNCALIBRATED = 1, 0xFFFF

log = logging.getLogger(__name__)


def kept_tags(image: Image.Image, width: int, height: int, *, srgb: bool = True) -> Image.Exif | None:
    """Return the tags that a result keeps of its photo; None where the photo has none that can be read.

    Args:
        image: the photo, of which only the header was read.
        width: of the result, pixels.
        height: of the result, pixels.
        srgb: whether the result is in sRGB.
    """
    try:
        tags = Image.Image.getexif(image)  # PNG's own one decodes the pixels first
        kept = Image.Exif()
        kept.update({tag: tags[tag] for tag in KEPT if tag in tags and _is_small(tags[tag])})
        taken = {tag: value for tag, value in tags.get_ifd(_IFD.Exif).items() if _is_small(value)}
        place = {tag: value for tag, value in tags.get_ifd(_IFD.GPSInfo).items() if _is_small(value)}
        taken = {tag: value for tag, value in taken.items() if tag not in DROPPED}
        if not kept and not taken and not place:
            return None
        taken |= {_Base.ExifVersion: b"0232", _Base.ColorSpace: SRGB if srgb else UNCALIBRATED}
        taken |= {_Base.ExifImageWidth: width, _Base.ExifImageHeight: height}
        kept.get_ifd(_IFD.Exif).update(taken)
        if place:
            kept.get_ifd(_IFD.GPSInfo).update(place)
        kept.tobytes()  # fails here rather than where the picture is written
    except Exception as error:  # EXIF is written by anyone: broken tags are no reason to lose the picture
        log.warning("EXIF is left out, since it cannot be read: %s", error)
        return None
    return kept


def _is_small(value: object) -> bool:
    """Return whether the value of a tag is small enough to be kept."""
    return not isinstance(value, bytes | str | tuple) or len(cast(bytes, value)) <= MOST_BYTES
