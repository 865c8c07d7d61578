"""The decoding of image files: their bytes become uint8 (H, W, 3), upright, sRGB, opaque.

Nothing here opens a file or a connection, and no input is trusted: any bytes give a picture or an `ImageError`, and a
picture's size is checked in its header before memory is allocated for its pixels.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from nst_kernel.pictures import MIN_SIDE
from pipeline.images import heif, jpeg, levels, png, tiff
from pipeline.images.colour import conversion, profile_in
from pipeline.images.errors import FORMATS, ImageError, what_is_this

Pixels = NDArray[np.uint8]
"""A picture, uint8 (H, W, 3), RGB in sRGB."""

MAX_PIXELS = 200_000_000
"""Pixels that a picture may have; Pillow itself stops at about 179 million."""

_BYTES = re.compile(r"""b?(['"]).*\1|0x[0-9a-f]+|\d{4,}""", re.DOTALL | re.IGNORECASE)
"""What decoders repeat of a file in their messages. It may be any file of the machine, and results are published."""



@dataclass(frozen=True)
class ImageInfo:
    """The size of a picture as it is shown, in pixels, and its format (`jpeg`, `png`, …)."""

    width: int
    height: int
    format: str


def probe(data: bytes, *, max_pixels: int = MAX_PIXELS, min_side: int = MIN_SIDE) -> ImageInfo:
    """Return the size that a picture has once decoded, from its header alone.

    The first bytes of a file do for JPEG, PNG, GIF, BMP, PPM, QOI and JPEG 2000 (64 kB, or more where a JPEG
    carries large metadata); WebP, AVIF, HEIF and TIFF keep what is needed at their end and want the whole file. Where
    the beginning does not do, this raises, and a caller that has a part tries again with the whole.

    Args:
        data: the file, or its beginning.
        max_pixels: that the picture may have.
        min_side: pixels that each side must have.

    Raises:
        ImageError: not a picture, an unreadable header, more than `max_pixels` (or than Pillow's own limit,
            about 179 million), or a side shorter than `min_side`.
    """
    with explained(data), opened(data, max_pixels, min_side) as image:
        width, height = image.size[::-1] if _orientation(image) >= 5 else image.size
        name = (image.format or "unknown").lower()
        return ImageInfo(width, height, "jpeg" if name == "mpo" else name)


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, min_side: int = MIN_SIDE, at_least: int = 0) -> Pixels:
    """Return a picture as uint8 (H, W, 3), sRGB: turned upright, colour-managed, laid on white where transparent.

    Animations and multi-page files give their first picture, but no reduced copy of another page. Levels of more than
    8 bits have the range of their type; those of 32 bits are taken as 8 or 16 bits if they keep to that range, floats
    as 0..1, or 0..255 or 0..65535 where they exceed it; the few outside are clipped.
    A broken colour profile or orientation is passed over (the former with a warning in the log).

    Args:
        data: the whole file.
        max_pixels: that the picture may have.
        min_side: pixels that each side must have.
        at_least: pixels that both sides may shrink to; 0: keep the size. A large JPEG is then decoded at a half, a
            quarter or an eighth of its size, which is many times faster.

    Raises:
        ImageError: for what `probe` refuses, for damaged or truncated pixels, and for levels of an unknown range.
    """
    with explained(data), opened(jpeg.whole(data), max_pixels, min_side) as image:
        # Before load(): a PNG may bring another orientation after its pixels, which probe() cannot see.
        orientation, profile = _orientation(image), profile_in(image)
        if at_least:
            image.draft(None, (at_least, at_least))
        image.load()
        scale = levels.scale_of(image, [np.asarray(image)])
        colours, alpha = _separate(image, scale)
        pixels = np.asarray(conversion(colours.mode, profile)(colours))
        if alpha is not None:
            opacity = alpha[..., None].astype(np.uint16)
            pixels = ((pixels * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
        return np.ascontiguousarray(_upright(pixels, orientation))


def check_pixels(image: Pixels) -> None:
    """Raise ValueError unless a picture is uint8 (H, W, 3) and not empty."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"a picture is uint8 (H, W, 3), not {image.dtype} {image.shape}")


def resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Return a picture (H, W, 3) resized to (height, width), by Lanczos with antialiasing."""
    check_pixels(image)
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


@contextmanager
def explained(data: bytes) -> Iterator[None]:
    """Turn whatever a decoder raises in this block into an ImageError that says what to do about `data`."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(what_is_this(data)) from error
    except Image.DecompressionBombError as error:
        size = str(error).removesuffix(", could be decompression bomb DOS attack.")
        raise ImageError(f"the picture is too large: {size}: scale it down") from error
    except MemoryError as error:
        raise ImageError("the picture does not fit into memory: scale it down") from error
    except Exception as error:
        reason = _BYTES.sub("…", str(error)) or type(error).__name__
        raise ImageError(f"the picture is damaged or cut short ({reason}): fetch or export it again") from error


def opened(data: bytes, max_pixels: int, min_side: int) -> Image.Image:
    """Return a picture of which only the header was read, and whose size is accepted."""
    if not data:
        raise ImageError("the file is empty: the upload or copy that made it failed")
    image = _header(data)
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(f"{width} x {height} pixels are more than the {max_pixels} allowed: scale it down")
    if min(width, height) < min_side:
        raise ImageError(f"{width} x {height} pixels are too few: each side needs at least {min_side}")
    return image


def _header(data: bytes) -> Image.Image:
    """Return a picture of which only the header was read, and what Pillow does not read in its `info`."""
    if data.startswith(tiff.PREFIXES):
        image: Image.Image = Image.open(tiff.stream(data), formats=("TIFF",))
        image.info[tiff.NO_ALPHA] = tiff.has_no_alpha(image)
    elif data.startswith(png.PREFIX):
        cleaned = png.cleaned(data)
        image = Image.open(io.BytesIO(cleaned.data), formats=("PNG",))
        image.info.update(cleaned.info)
    else:
        image = heif.opened(data) if heif.is_heif(data) else Image.open(io.BytesIO(data), formats=FORMATS)
        image.info.update(heif.colours(data))
    return image


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a picture, 1 to 8; 1 where there is none or it is invalid."""
    if image.format == "TIFF":
        return 1  # Pillow turns these by itself.
    try:
        # Not image.getexif(): for PNG that one decodes the pixels first.
        value = int(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))
    except Exception:  # Whatever a broken EXIF block makes the parser do.
        return 1
    return value if 1 <= value <= 8 else 1


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation: 5 to 8 are stored with rows and columns swapped, then each may be mirrored."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    down = -1 if orientation in (3, 4, 7, 8) else 1
    across = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::down, ::across]


def _separate(image: Image.Image, scale: levels.Scale | None) -> tuple[Image.Image, Pixels | None]:
    """Return the colours as an L, RGB, CMYK or LAB picture, and the alpha channel (H, W) if there is one.

    Args:
        image: a decoded picture, or a part of one.
        scale: of its grey levels, unless they have 8 bits.
    """
    transparency = image.info.get("transparency")
    if scale:
        grey_levels = np.asarray(image)
        hidden = grey_levels == transparency if isinstance(transparency, int) else None
        alpha = None if hidden is None else np.where(hidden, 0, 255).astype(np.uint8)
        return Image.fromarray(levels.to_bytes(grey_levels, scale)), alpha
    if image.mode == "RGBA" and image.info.get(tiff.NO_ALPHA):
        return image.convert("RGB"), None
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or transparency is not None:
        straight = image.convert("LA") if image.mode == "La" else image
        rgba = straight.convert("RGBA")
        return rgba.convert("L" if grey else "RGB"), np.asarray(rgba.getchannel("A"))
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image, None
    return image.convert("L" if grey else "RGB"), None
