"""Image files: their bytes to pixels and back, and how similar two pictures are. Nothing here opens a file."""

from pipeline.images.decode import MAX_PIXELS, ImageInfo, Pixels, decode, probe, resize
from pipeline.images.encode import FORMATS, encode, format_of, read_metadata
from pipeline.images.errors import ImageError
from pipeline.images.kept import JPEG_HEAD, Kept, kept_of, may_follow
from pipeline.images.similarity import EQUAL, Similarity, similarity

__all__ = [
    "EQUAL",
    "FORMATS",
    "JPEG_HEAD",
    "MAX_PIXELS",
    "ImageError",
    "ImageInfo",
    "Kept",
    "Pixels",
    "Similarity",
    "decode",
    "encode",
    "format_of",
    "kept_of",
    "may_follow",
    "probe",
    "read_metadata",
    "resize",
    "similarity",
]
