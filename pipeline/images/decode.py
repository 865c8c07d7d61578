"""The decoding of image files: their bytes become uint8 (H, W, 3), upright, sRGB, opaque.

Nothing here opens a file or a connection, and no input is trusted: any bytes give a picture or an `ImageError`, and a
picture's size is checked in its header before memory is allocated for its pixels.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from nst_kernel.pictures import MIN_SIDE, straight
from pipeline.images import deep as sixteen_bits
from pipeline.images import heif, jpeg, levels, png, tiff
from pipeline.images.colour import conversion, profile_in
from pipeline.images.errors import FORMATS, ImageError, Unreadable, what_is_this
from pipeline.images.hazards import hazard
from pipeline.options import DEFAULT_DECODING

Pixels = NDArray[np.uint8]
"""A picture, uint8 (H, W, 3), RGB in sRGB."""

AnyPixels = Pixels | NDArray[np.uint16]
"""A picture, (H, W, 3), RGB in sRGB, of 8 or 16 bits a colour."""

MAX_PIXELS = DEFAULT_DECODING.max_pixels
"""Pixels that a picture may have."""

_BYTES = re.compile(r"""b?(['"]).*\1|0x[0-9a-f]+|\d{4,}""", re.DOTALL | re.IGNORECASE)
"""What decoders repeat of a file in their messages. It may be any file of the machine, and results are published."""

Size = tuple[int, int] | Callable[[int, int], tuple[int, int]]
"""The (height, width) that a picture shall have, or what returns it, given those that the picture has."""

OVERSAMPLING = 2
"""How many times as large as it shall be a JPEG is decoded, at least."""

BAND_PIXELS = 2**20
"""Pixels that are converted at a time; a smaller picture is converted whole."""


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


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, min_side: int = MIN_SIDE) -> Pixels:
    """Return a picture as uint8 (H, W, 3), sRGB: turned upright, colour-managed, laid on white where transparent.

    Animations and multi-page files give their first picture, but no reduced copy of another page. Levels of more than
    8 bits have the range of their type; those of 32 bits are taken as 8 or 16 bits if they keep to that range, floats
    as 0..1, or 0..255 or 0..65535 where they exceed it; the few outside are clipped.
    A broken colour profile or orientation is passed over (the former with a warning in the log).

    Args:
        data: the whole file.
        max_pixels: that the picture may have.
        min_side: pixels that each side must have.

    Raises:
        ImageError: for what `probe` refuses, for damaged or truncated pixels, and for levels of an unknown range.
    """
    return cast(Pixels, decode_to(data, None, max_pixels=max_pixels, min_side=min_side)[0])


def decode_to(
    data: bytes,
    size: Size | None,
    *,
    max_pixels: int = MAX_PIXELS,
    min_side: int = MIN_SIDE,
    deep: bool = False,
    opacity: bool = False,
) -> tuple[AnyPixels, tuple[int, int]]:
    """Return a picture as `decode` does, resized, and the (height, width) that it had.

    A JPEG that is much larger than it shall be is decoded at a half, a quarter or an eighth of its size, which takes as
    much less time and memory.

    Args:
        data: the whole file.
        size: to resize to, of the picture as it is shown; None: its own.
        max_pixels: that the picture may have.
        min_side: pixels that each side must have.
        deep: whether PNG and TIFF of 16 bits a colour are returned as uint16, with all of them; other pictures never
            are.
        opacity: whether a picture that is transparent anywhere is returned as (H, W, 4), with its opacity and the
            colours that are seen through it, which are spread to where it is transparent; others never are.

    Raises:
        ImageError: as `decode`.
    """
    with explained(data):
        how = _How(max_pixels, min_side, deep, opacity)
        pixels, orientation, shown, wanted = _stored(data, size, how)
        upright = np.ascontiguousarray(_upright(pixels, orientation))
        del pixels
        if upright.shape[2] == 4:
            return resize_transparent(cast(AnyPixels, upright), wanted), shown
        if upright.dtype == np.uint16:
            return resize_deep(cast(NDArray[np.uint16], upright), wanted), shown
        return resize(cast(Pixels, upright), wanted), shown


def decode_labels(data: bytes, *, max_pixels: int = MAX_PIXELS, min_side: int = MIN_SIDE) -> Pixels:
    """Return a mask as uint8 (H, W, 3), upright, at its own size, with the numbers that are stored.

    Its colours are labels: no profile changes them, and none is mixed with another by resizing.

    Args:
        data: the whole file.
        max_pixels: that the picture may have.
        min_side: pixels that each side must have.

    Raises:
        ImageError: for what `decode` refuses, and for a picture that is transparent anywhere.
    """
    with explained(data), opened(jpeg.whole(data), max_pixels, min_side) as image:
        orientation = _orientation(image)
        image.load()
        colours, alpha = _separate(image, levels.scale_of(image, [np.asarray(image)]))
        if alpha is not None and alpha.min() < 255:
            raise ImageError("the mask is transparent in places, which is no label: save it without alpha")
        return cast(Pixels, np.ascontiguousarray(_upright(np.asarray(colours.convert("RGB")), orientation)))


@dataclass(frozen=True)
class _How:
    """The options with which `decode_to` decodes a picture."""

    max_pixels: int = MAX_PIXELS
    min_side: int = MIN_SIDE
    deep: bool = False
    opacity: bool = False


def _stored(data: bytes, size: Size | None, how: _How) -> tuple[AnyPixels, int, tuple[int, int], tuple[int, int]]:
    """Return what `decode_to` needs of a picture.

    Returns:
        Its pixels as they are stored, perhaps scaled down; its EXIF orientation; its (height, width) as it is shown,
        and those that it shall have.
    """
    image = opened(data, how.max_pixels, how.min_side)
    # Once the size is accepted, since this may decode the picture.
    whole = jpeg.whole(data)
    with image if whole is data else opened(whole, how.max_pixels, how.min_side) as image:
        # Before load(): a PNG may bring another orientation after its pixels, which probe() cannot see.
        orientation, profile = _orientation(image), profile_in(image)
        height, width = shown = image.size if orientation >= 5 else image.size[::-1]
        wanted = shown if size is None else size(height, width) if callable(size) else size
        if how.deep and sixteen_bits.is_deep(image):
            levels = sixteen_bits.decoded(image, lambda: _header(data), profile, opacity=how.opacity)
            if levels is not None:
                return levels, orientation, shown, wanted
        # Twice the size, at least: what is averaged from that looks as if averaged from all.
        draft = [OVERSAMPLING * side for side in (wanted if orientation >= 5 else wanted[::-1])]
        image.draft(None, (draft[0], draft[1]))
        image.load()
        return _converted(image, profile, opacity=how.opacity), orientation, shown, wanted


def _converted(image: Image.Image, profile: bytes | None, *, opacity: bool = False) -> Pixels:
    """Return the pixels of a decoded picture in sRGB, on white where it is transparent; or with its opacity at last.

    They are converted band by band: of a whole picture, the steps between would take several times its memory.
    """
    pixels = np.full((image.height, image.width, 3 + opacity), 255, dtype=np.uint8)
    scale = levels.scale_of(image, (np.asarray(band) for _, band in _bands(image)))
    to_srgb: Callable[[Image.Image], Image.Image] | None = None
    for top, band in _bands(image):
        colours, alpha = _separate(band, scale)
        to_srgb = to_srgb or conversion(colours.mode, profile)
        part = pixels[top : top + band.height]
        part[..., :3] = np.asarray(to_srgb(colours))
        if alpha is not None and opacity:
            part[..., 3] = alpha
        elif alpha is not None:
            share = alpha[..., None].astype(np.uint16)
            part[:] = (part * share + 255 * (255 - share) + 127) // 255
    return pixels[..., :3] if opacity and pixels[..., 3].min() == 255 else pixels


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield a decoded picture in bands of full width, each with the number of its first row."""
    height = max(1, BAND_PIXELS // image.width)
    if height >= image.height:
        yield 0, image
        return
    for top in range(0, image.height, height):
        yield top, image.crop((0, top, image.width, min(top + height, image.height)))


def within(side: int) -> Size:
    """Return the size of a picture whose long side is at most `side` pixels; a smaller one keeps its own."""
    return partial(_within, side)


def _within(side: int, height: int, width: int) -> tuple[int, int]:
    """Return the (height, width) of a picture scaled down until its long side is at most `side` pixels."""
    scale = min(1.0, side / max(height, width))
    return max(1, round(scale * height)), max(1, round(scale * width))


def check_pixels(image: AnyPixels, *, deep: bool = False) -> None:
    """Raise ValueError unless a picture is uint8 (H, W, 3), or uint16 where that may be, and not empty."""
    if (
        (image.dtype != np.uint8 and not (deep and image.dtype == np.uint16))
        or image.ndim != 3
        or image.shape[2] != 3
        or image.size == 0
    ):
        raise ValueError(f"a picture is uint8 (H, W, 3), not {image.dtype} {image.shape}")


def resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Return a picture (H, W, 3) resized to (height, width), by Lanczos with antialiasing."""
    check_pixels(image)
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def resize_deep(image: NDArray[np.uint16], size: tuple[int, int]) -> NDArray[np.uint16]:
    """Return a picture of 16 bits a colour (H, W, 3) resized as `resize` does."""
    if image.shape[:2] == size:
        return image
    # Of which Pillow knows one channel at a time, in floats.
    bands = (Image.fromarray(band.astype(np.float32)) for band in np.moveaxis(image, 2, 0))
    resized = [np.asarray(band.resize(size[::-1], Image.Resampling.LANCZOS)) for band in bands]
    return np.asarray(np.rint(np.stack(resized, axis=2).clip(0, 65535)).astype(np.uint16))


def resize_transparent(image: AnyPixels, size: tuple[int, int]) -> AnyPixels:
    """Return a picture with opacity (H, W, 4) resized, colours times opacity; they are spread over what is hidden."""
    most = np.float32(np.iinfo(image.dtype).max)
    shares = image.astype(np.float32) / most
    shares[..., :3] *= shares[..., 3:]
    if image.shape[:2] != size:
        bands = (Image.fromarray(np.ascontiguousarray(band)) for band in np.moveaxis(shares, 2, 0))
        resized = [np.asarray(band.resize(size[::-1], Image.Resampling.LANCZOS)) for band in bands]
        shares = np.stack(resized, axis=2).clip(0, 1)
    whole = np.concatenate([straight(shares[..., :3], shares[..., 3]), shares[..., 3:]], axis=2)
    return cast(AnyPixels, np.rint(most * whole).astype(image.dtype))


def resize_masks(masks: Pixels, size: tuple[int, int]) -> Pixels:
    """Return masks (R, H, W) resized to (height, width): averages over areas where they shrink, else linear."""
    height, width = size
    if masks.shape[1:] == size:
        return masks
    shrinking = height <= masks.shape[1] and width <= masks.shape[2]
    kind = Image.Resampling.BOX if shrinking else Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(mask).resize((width, height), kind)) for mask in masks])


@contextmanager
def explained(data: bytes) -> Iterator[None]:
    """Turn whatever a decoder raises in this block into an ImageError that says what to do about `data`."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise Unreadable(what_is_this(data)) from error
    except Image.DecompressionBombError as error:
        size = str(error).removesuffix(", could be decompression bomb DOS attack.")
        raise ImageError(f"the picture is too large: {size}: scale it down") from error
    except MemoryError as error:
        raise ImageError("the picture does not fit into memory: scale it down") from error
    except Exception as error:
        reason = _BYTES.sub("…", str(error)) or type(error).__name__
        raise Unreadable(f"the picture is damaged or cut short ({reason}): fetch or export it again") from error


def opened(data: bytes, max_pixels: int, min_side: int) -> Image.Image:
    """Return a picture whose header alone was read, after checking its size."""
    if not data:
        raise Unreadable("the file is empty: the upload or copy that made it failed")
    if refusal := hazard(data):
        raise ImageError(refusal)
    image = _header(data)
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} pixels are more than the {max_pixels:,} allowed: scale it down, or allow more by "
            "--max-megapixels"
        )
    if min(width, height) < min_side:
        raise ImageError(f"{width} x {height} pixels are too few: each side needs at least {min_side}")
    return image


def _header(data: bytes) -> Image.Image:
    """Return a picture whose header alone was read, with what Pillow does not read in its `info`."""
    if data.startswith(tiff.PREFIXES):
        image: Image.Image = _tiff_header(data)
        image.info[tiff.NO_ALPHA] = tiff.has_no_alpha(image)
    elif data.startswith(png.PREFIX):
        cleaned = png.cleaned(data)
        image = Image.open(io.BytesIO(cleaned.data), formats=("PNG",))
        image.info.update(cleaned.info)
    else:
        image = heif.opened(data) if heif.is_heif(data) else Image.open(io.BytesIO(data), formats=FORMATS)
        image.info.update(heif.colours(data))
    return image


def _tiff_header(data: bytes) -> Image.Image:
    """Return a TIFF whose header alone was read; raise ImageError that names its kind where that is not decoded."""
    try:
        return Image.open(tiff.stream(data), formats=("TIFF",))
    except (UnidentifiedImageError, KeyError) as error:  # the latter for compressions that Pillow does not know
        if said := tiff.why_unread(data):
            raise ImageError(said) from error
        raise


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


def _upright(pixels: AnyPixels, orientation: int) -> AnyPixels:
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
