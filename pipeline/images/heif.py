"""HEIF and HEIC, as phones write them, through libheif; and the colours that they and AVIF give by numbers."""

import functools
import io
import struct

from PIL import Image

_HEVC = (b"heic", b"heix", b"heim", b"heis", b"mif1")
_AVIF = (b"avif", b"avis")
_COLOURS = b"colrnclx"
_MOST_HEADER = 1024 * 1024


def is_heif(data: bytes) -> bool:
    """Return whether a file says that it is HEIF, and not AVIF, which has the same frame."""
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4]), 256)
    brands = [data[place : place + 4] for place in (8, *range(16, end, 4))]
    return brands[0] in _HEVC and not set(brands) & set(_AVIF)


def opened(data: bytes) -> Image.Image:
    """Return the picture of a HEIF file, its primary one where there are several, with its header alone read."""
    _register()
    return Image.open(io.BytesIO(data), formats=("HEIF",))


def colours(data: bytes) -> dict[str, tuple[int, int]]:
    """Return as `cicp` the numbers of primaries and transfer function in HEIF or AVIF; nothing where it has none."""
    place = data.find(_COLOURS, 0, _MOST_HEADER) if data[4:8] == b"ftyp" else -1
    if not 0 <= place <= len(data) - 14:
        return {}
    primaries, transfer = struct.unpack_from(">HH", data, place + len(_COLOURS))
    return {"cicp": (primaries, transfer)}


@functools.cache
def _register() -> None:
    """Make Pillow know HEIF; libheif is 26 MB that runs without such pictures need not load."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
