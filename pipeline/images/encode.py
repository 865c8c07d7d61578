"""The encoding of pictures as image files, with the parameters that are kept in them."""

import io
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from nst_kernel.pictures import to_uint8
from pipeline.images import iptc, png, profile, tiff_file, xmp
from pipeline.images.decode import MAX_PIXELS, Pixels, check_pixels, explained, opened
from pipeline.images.errors import ImageError
from pipeline.images.kept import Kept

Format = Literal["png", "jpeg", "webp", "tiff", "avif"]
"""A format of pictures that is written."""

FORMATS: dict[str, Format] = {
    "png": "png",
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "webp": "webp",
    "tif": "tiff",
    "tiff": "tiff",
    "avif": "avif",
}
"""Formats by the extension of the picture's name."""

DEEP: tuple[Format, ...] = ("png", "tiff")
"""Formats that hold 16 bits of each colour. AVIF would hold 12, which Pillow does not write."""

TRANSPARENT: tuple[Format, ...] = ("png", "webp", "tiff", "avif")
"""Formats that hold opacity."""

_PNG_PREFIX = "nst:"

_Levels = Pixels | NDArray[np.uint16]


def encode(
    image: Pixels | NDArray[np.uint16] | NDArray[np.float32],
    *,
    format: Format = "png",
    metadata: Mapping[str, str],
    quality: int = 95,
    kept: Kept | None = None,
    icc_profile: bytes | None = None,
) -> bytes:
    """Return a picture as an image file that carries metadata; equal arguments give equal bytes.

    PNG holds each entry as a text chunk `nst:<key>`; the others hold them all as JSON in XMP. All say that they are
    sRGB: PNG in a chunk of its own, the others in a colour profile. JPEG and AVIF keep colour at full resolution.

    Args:
        image: uint8 or uint16 (H, W, 3), which is the depth of the file, or float32 in [0, 1], rounded to 8 bits; with
            its opacity (H, W, 4).
        format: of the file.
        metadata: texts by key.
        quality: 1 to 100, of JPEG, WebP and AVIF.
        kept: what else the file carries, of the photo that it was made of.
        icc_profile: colour profile that the image is in; None: it is sRGB.

    Raises:
        ValueError: `image` is none of these.
        ImageError: the format cannot hold it (WebP ends at 16383 pixels a side, JPEG at 64 kB of metadata, 16 bits are
            for PNG and TIFF, opacity is for all but JPEG), a key is not 1-75 printable ASCII characters, or a text
            holds null characters or lone surrogates.
    """
    pixels: _Levels = cast(NDArray[np.uint16], image) if image.dtype == np.uint16 else to_uint8(image)
    check_pixels(pixels[..., :3] if pixels.ndim == 3 and pixels.shape[2] == 4 else pixels, deep=True)
    _check_metadata(metadata)
    kept = kept or Kept()
    size = f"{pixels.shape[1]} x {pixels.shape[0]} pixels"
    if pixels.dtype == np.uint16 and format not in DEEP:
        raise ImageError(
            f"{size} of 16 bits cannot be written as {format}: expected a name that ends in {deep_extensions()}"
        )
    if pixels.shape[2] == 4 and format not in TRANSPARENT:
        raise ImageError(
            f"{size} with opacity cannot be written as {format}: expected a name that ends in "
            f"{extensions_of(TRANSPARENT)}"
        )
    try:
        if format == "png":
            return _png(pixels, metadata, kept, icc_profile)
        packet = xmp.packet(kept.properties, metadata)
        if format == "tiff":
            return tiff_file.encoded(pixels, profile=icc_profile or profile.srgb(), xmp=packet, exif=kept.exif)
        further = {"xmp": packet, "icc_profile": icc_profile or profile.srgb()}
        return _lossy(to_uint8(pixels), format, quality, kept, further)
    except Exception as error:  # Encoders too fail in any way they like.
        raise ImageError(f"{size} and {len(metadata)} metadata cannot be written as {format}: {error}") from error


def _png(pixels: _Levels, metadata: Mapping[str, str], kept: Kept, icc_profile: bytes | None) -> bytes:
    """Return a PNG of 8 or 16 bits."""
    is_deep, buffer = pixels.dtype == np.uint16, io.BytesIO()
    picture = Image.new("RGB", (1, 1)) if is_deep else Image.fromarray(pixels)
    further = {"icc_profile": icc_profile, **_exif(kept)} if icc_profile else _exif(kept)
    chunks = _chunks(metadata, kept, srgb=icc_profile is None)
    picture.save(buffer, "PNG", pnginfo=chunks, compress_level=4, **further)
    return png.with_pixels(buffer.getvalue(), cast(NDArray[np.uint16], pixels)) if is_deep else buffer.getvalue()


def _lossy(pixels: Pixels, format: Format, quality: int, kept: Kept, others: Mapping[str, bytes]) -> bytes:
    """Return a JPEG, WebP or AVIF with other parts, by Pillow's keywords."""
    further: dict[str, Any] = {**others, "subsampling": 0, **_exif(kept)}
    if format == "jpeg" and kept.iptc:
        further["extra"] = iptc.segment(kept.iptc)
    if format == "avif":
        # Bytes must not depend on how many threads a machine has, and rows are written side by side anyway.
        further |= {"subsampling": "4:4:4", "max_threads": 1, "autotiling": False}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format.upper(), quality=quality, **further)
    return buffer.getvalue()


def _exif(kept: Kept) -> dict[str, Any]:
    """Return Pillow's keyword for the tags that a file carries; none where it carries none."""
    return {"exif": kept.exif.tobytes()} if kept.exif else {}


def _chunks(metadata: Mapping[str, str], kept: Kept, *, srgb: bool) -> PngInfo:
    """Return the chunks of a PNG that are not of its pixels."""
    chunks = PngInfo()
    if srgb:
        chunks.add(b"sRGB", b"\0")  # rendering intent: perceptual
    for key, text in metadata.items():
        chunks.add_text(_PNG_PREFIX + key, text)
    if kept.properties:
        chunks.add_itxt("XML:com.adobe.xmp", xmp.packet(kept.properties).decode())
    return chunks


def _check_metadata(metadata: Mapping[str, str]) -> None:
    """Raise ImageError for a key or text that not every format can hold."""
    for key, text in metadata.items():
        if not (0 < len(key) <= 75 and key.isascii() and key.isprintable() and key == key.strip()):
            raise ImageError(f"metadata key {key!r} is not 1-75 printable ASCII characters")
        if "\0" in text:
            raise ImageError(f"metadata {key!r} holds a null character, which text chunks cannot")


def read_metadata(data: bytes) -> dict[str, str]:
    """Return the metadata that `encode` put into a file; empty for pictures from elsewhere.

    Raises:
        ImageError: not a picture.
    """
    with explained(data), opened(data, MAX_PIXELS, 1) as image:
        if image.format == "PNG":
            # Straight from the header: image.text would decode the pixels to look behind them.
            texts = {str(key): text for key, text in image.info.items() if isinstance(text, str)}
            return {k.removeprefix(_PNG_PREFIX): str(v) for k, v in texts.items() if k.startswith(_PNG_PREFIX)}
        if packet := image.info.get("xmp"):
            metadata = xmp.metadata_in(packet)
            if metadata is not None:
                return metadata
        try:  # a GIF's comment, or where earlier versions put it
            is_gif = image.format == "GIF"
            entries = json.loads(image.info["comment"] if is_gif else image.getexif()[ExifTags.Base.ImageDescription])
        except Exception:  # Someone else's description, or someone else's broken EXIF.
            return {}
        return {str(key): str(text) for key, text in entries.items()} if isinstance(entries, dict) else {}


def format_of(name: str) -> Format:
    """Return the format that the extension of a name means.

    Raises:
        ValueError: for an extension of none of `FORMATS`.
    """
    stem, _, extension = name.lower().rpartition(".")
    if not stem or extension not in FORMATS:
        raise ValueError(f"{name}: expected a name that ends in {listed(f'.{each}' for each in FORMATS)}")
    return FORMATS[extension]


def deep_extensions() -> str:
    """Return the extensions of formats that hold 16 bits, as messages list them."""
    return extensions_of(DEEP)


def extensions_of(formats: Collection[Format]) -> str:
    """Return the extensions of some formats, as messages list them."""
    return listed(f".{extension}" for extension, format in FORMATS.items() if format in formats)


def listed(names: Iterable[str]) -> str:
    """Return names as a sentence has them: a, b or c."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
