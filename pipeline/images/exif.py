"""What a result keeps of its photo's EXIF: when, where and with what it was taken. What no longer holds stays out."""

import io
import logging
from typing import cast

from PIL import ExifTags, Image

JPEG = b"\xff\xd8\xff"
JPEG_HEAD = 256 * 1024
"""As much of a JPEG as has its EXIF: it stands first, and a segment ends at 64 kB."""

_Base, _IFD = ExifTags.Base, ExifTags.IFD

KEPT = (_Base.Make, _Base.Model, _Base.DateTime, _Base.Artist, _Base.Copyright, _Base.HostComputer)
"""Of the tags of the picture as a whole. Its orientation is in the pixels now; its thumbnail is another picture."""

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
"""Of the tags of how it was taken."""

MOST_BYTES = 4096
"""Of one tag; what is larger is a program's own."""

SRGB = 1

log = logging.getLogger(__name__)


def of(photo: bytes, width: int, height: int) -> Image.Exif | None:
    """The tags that a result of this size in pixels keeps; None where the photo has none, or none that can be read.

    Args:
        photo: the file, or as much of it as has its EXIF.
        width: of the result.
        height: of the result.
    """
    try:
        with Image.open(io.BytesIO(photo)) as image:
            found = image.getexif()
            kept = Image.Exif()
            kept.update({tag: found[tag] for tag in KEPT if tag in found and _is_small(found[tag])})
            taken = {tag: value for tag, value in found.get_ifd(_IFD.Exif).items() if _is_small(value)}
            place = {tag: value for tag, value in found.get_ifd(_IFD.GPSInfo).items() if _is_small(value)}
        taken = {tag: value for tag, value in taken.items() if tag not in DROPPED}
        if not kept and not taken and not place:
            return None
        taken |= {_Base.ExifVersion: b"0232", _Base.ColorSpace: SRGB}
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
    return not isinstance(value, bytes | str | tuple) or len(cast(bytes, value)) <= MOST_BYTES
