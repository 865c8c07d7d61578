"""Animations: pictures of one size, shown one after the other."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from PIL import Image

from pipeline.images import profile, xmp
from pipeline.images.decode import Pixels
from pipeline.images.kept import Kept

EACH, LAST = 100, 1500
"""Milliseconds that a picture is shown, and the last one before it begins again."""

QUALITY = 80


def animated(pictures: Sequence[Pixels], *, format: Literal["webp", "gif"], metadata: Mapping[str, str]) -> bytes:
    """Return pictures, uint8 (H, W, 3) of one size, as an animation without end that carries metadata.

    GIF has 256 colours for each of them; WebP has all, in a fraction of the bytes.

    Args:
        pictures: at least one.
        format: of the file.
        metadata: texts by key, in XMP, or as JSON in a comment of a GIF.
    """
    first, *others = [Image.fromarray(pixels) for pixels in pictures]
    durations = [EACH] * len(others) + [LAST]
    options: dict[str, Any]
    if format == "webp":
        packet = xmp.packet(Kept().properties, metadata)
        options = {"quality": QUALITY, "method": 2, "xmp": packet, "icc_profile": profile.srgb()}
    else:
        options = {"comment": json.dumps(dict(metadata)).encode()}
    buffer = io.BytesIO()
    first.save(buffer, format.upper(), save_all=True, append_images=others, duration=durations, loop=0, **options)
    return buffer.getvalue()
