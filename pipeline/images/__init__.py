"""Image files: their bytes to pixels and back, and how similar two pictures are. Nothing here opens a file."""

from pipeline.images import exif
from pipeline.images.decode import MAX_PIXELS, ImageInfo, Pixels, decode, probe, resize
from pipeline.images.encode import FORMATS, encode, format_of, read_metadata
from pipeline.images.errors import ImageError
from pipeline.images.similarity import EQUAL, Similarity, similarity

__all__ = [
    "EQUAL",
    "FORMATS",
    "MAX_PIXELS",
    "ImageError",
    "ImageInfo",
    "Pixels",
    "Similarity",
    "decode",
    "encode",
    "exif",
    "format_of",
    "probe",
    "read_metadata",
    "resize",
    "similarity",
]
