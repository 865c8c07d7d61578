"""The encoding of pictures as image files, with the parameters that are kept in them."""

import io
import json
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from nst_kernel.pictures import to_uint8
from pipeline.images import iptc, profile, xmp
from pipeline.images.decode import MAX_PIXELS, Pixels, check_pixels, explained, opened
from pipeline.images.errors import ImageError
from pipeline.images.kept import Kept

_PNG_PREFIX = "nst:"


def encode(
    image: Pixels | NDArray[np.float32],
    *,
    format: Literal["png", "jpeg", "webp"] = "png",
    metadata: Mapping[str, str],
    quality: int = 95,
    kept: Kept | None = None,
) -> bytes:
    """Return a picture as an image file that carries metadata; equal arguments give equal bytes.

    PNG holds each entry as a text chunk `nst:<key>`; JPEG and WebP hold them all as JSON in XMP. All say that they are
    sRGB: PNG in a chunk of its own, JPEG and WebP in a colour profile. JPEG keeps colour at full resolution.

    Args:
        image: uint8 (H, W, 3), or float32 in [0, 1].
        format: of the file.
        metadata: texts by key.
        quality: 1 to 100, of JPEG and WebP.
        kept: what else the file carries, of the photo that it was made of.

    Raises:
        ValueError: `image` is neither uint8 nor float32 in [0, 1], which is rounded to 8 bits.
        ImageError: the format cannot hold it (WebP ends at 16383 pixels a side, JPEG at 64 kB of metadata), a
            key is not 1-75 printable ASCII characters, or a text holds null characters or lone surrogates.
    """
    pixels = to_uint8(image)
    check_pixels(pixels)
    _check_metadata(metadata)
    picture, buffer = Image.fromarray(pixels), io.BytesIO()
    kept = kept or Kept()
    exif = {"exif": kept.exif.tobytes()} if kept.exif else {}
    try:
        if format == "png":
            picture.save(buffer, "PNG", pnginfo=_chunks(metadata, kept), compress_level=4, **exif)
        else:
            further = {"xmp": xmp.packet(kept.properties, metadata), "icc_profile": profile.srgb(), **exif}
            if format == "jpeg" and kept.iptc:
                further["extra"] = iptc.segment(kept.iptc)
            picture.save(buffer, format.upper(), quality=quality, subsampling=0, **further)
    except Exception as error:  # Encoders too fail in any way they like.
        size = f"{picture.width} x {picture.height} pixels"
        raise ImageError(f"{size} and {len(metadata)} metadata cannot be written as {format}: {error}") from error
    return buffer.getvalue()


def _chunks(metadata: Mapping[str, str], kept: Kept) -> PngInfo:
    """Return the chunks of a PNG that are not of its pixels."""
    chunks = PngInfo()
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
            found = xmp.metadata_in(packet)
            if found is not None:
                return found
        try:  # where earlier versions put it
            entries = json.loads(image.getexif()[ExifTags.Base.ImageDescription])
        except Exception:  # Someone else's description, or someone else's broken EXIF.
            return {}
        return {str(key): str(text) for key, text in entries.items()} if isinstance(entries, dict) else {}


FORMATS: dict[str, Literal["png", "jpeg", "webp"]] = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}
"""Formats by the extension of the picture's name."""


def format_of(name: str) -> Literal["png", "jpeg", "webp"]:
    """Return the format that the extension of a name means.

    Raises:
        ValueError: for an extension that is none of png, jpg, jpeg and webp.
    """
    stem, _, extension = name.lower().rpartition(".")
    if not stem or extension not in FORMATS:
        raise ValueError(f"{name}: expected a name that ends in .png, .jpg, .jpeg or .webp")
    return FORMATS[extension]
