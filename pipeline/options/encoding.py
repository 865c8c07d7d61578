"""How pictures are written."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Encoding:
    """How pictures are written, beside their format, which their names say.

    Attributes:
        quality: of JPEG and WebP, 1 to 100.
        keep_exif: whether a picture has the date, camera and place of its content picture.
    """

    quality: int = 95
    keep_exif: bool = False


DEFAULT_ENCODING = Encoding()
