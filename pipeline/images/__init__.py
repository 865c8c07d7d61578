"""Image files as bytes: decoding in child processes, encoding, colour profiles, metadata, and similarity.

`decode`, `decode_to`, `probe` and `probe_all` work in child processes, so that no picture costs the process that asks.
"""

from pipeline.images.animation import animated
from pipeline.images.beginnings import BEGINNING, begins_like_picture
from pipeline.images.curves import in_profile
from pipeline.images.decode import ImageInfo, Pixels, Size, resize, resize_masks, within
from pipeline.images.encode import (
    DEEP,
    FORMATS,
    TRANSPARENT,
    deep_extensions,
    encode,
    extensions_of,
    format_of,
    listed,
    read_metadata,
)
from pipeline.images.errors import ImageError, Unreadable
from pipeline.images.extensions import EXTENSIONS
from pipeline.images.isolated import decode, decode_labels, decode_to, probe, probe_all
from pipeline.images.kept import JPEG_HEAD, Kept, kept_of, may_follow, profile_of_photo
from pipeline.images.similarity import EQUAL, Similarity, similarity

__all__ = [
    "BEGINNING",
    "DEEP",
    "EQUAL",
    "EXTENSIONS",
    "FORMATS",
    "JPEG_HEAD",
    "TRANSPARENT",
    "ImageError",
    "ImageInfo",
    "Kept",
    "Pixels",
    "Similarity",
    "Size",
    "Unreadable",
    "animated",
    "begins_like_picture",
    "decode",
    "decode_labels",
    "decode_to",
    "deep_extensions",
    "encode",
    "extensions_of",
    "format_of",
    "in_profile",
    "kept_of",
    "listed",
    "may_follow",
    "probe",
    "probe_all",
    "profile_of_photo",
    "read_metadata",
    "resize",
    "resize_masks",
    "similarity",
    "within",
]
