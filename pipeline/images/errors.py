"""Why bytes are no picture that can be used: the error, and what else files with a picture's name often are."""

# Pillow's other decoders are old, seldom met and seldom tested; one of them starts another program.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000", "PPM", "QOI")
"""Formats that are read, besides HEIF, by the names that Pillow has for them."""

_HTML = "looks like HTML, not a picture: its address probably answered with an error or log-in page"
_XML = "looks like XML (SVG, or a store's error message), not a picture: fetch it again or convert it"
_SIDECAR = "is an XMP sidecar, notes on a photo: name the photo itself"
_RAW = "is a camera's raw ({}), not a picture yet: develop it and export a TIFF, PNG or JPEG"
_OTHER = "is {}, which is not supported: export it as PNG, TIFF or JPEG"
_VIDEO = "is a video ({}), not a picture: export a frame of it as PNG or JPEG"
_PACKED = "is {}: unpack it"

# Files of text, by the beginning of their text in lower case.
_TEXTS: tuple[tuple[bytes, str], ...] = (
    (b"<!doctype", _HTML),
    (b"<html", _HTML),
    (b"<svg", "looks like SVG, a vector drawing: convert it to PNG"),
    (b"<?xpacket", _SIDECAR),
    (b"<x:xmpmeta", _SIDECAR),
    (b"<?xml", _XML),
    (b"{", "looks like JSON (a service's error message?), not a picture: fetch it again"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the picture itself: run `git lfs pull`"),
    (b"data:image/", "is a picture written as text (base64): decode it"),
)

# Other files that often have a picture's name, by bytes at an offset.
_STRANGERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "is a PDF: export its pages as pictures"),
    (0, b"%!PS", "is PostScript: convert it to PNG"),
    (0, b"\xc5\xd0\xd3\xc6", "is PostScript: convert it to PNG"),
    (0, b"8BPS", "is a Photoshop document: export it as PNG or TIFF"),
    (0, b"FUJIFILMCCD-RAW", _RAW.format("RAF, Fujifilm")),
    (4, b"ftypcrx", _RAW.format("CR3, Canon")),
    (8, b"CR\x02", _RAW.format("CR2, Canon")),
    (6, b"HEAPCCDR", _RAW.format("CRW, Canon")),
    (0, b"IIRO", _RAW.format("ORF, Olympus")),
    (0, b"IIRS", _RAW.format("ORF, Olympus")),
    (0, b"MMOR", _RAW.format("ORF, Olympus")),
    (0, b"IIU\0", _RAW.format("RW2, Panasonic")),
    (0, b"FOVb", _RAW.format("X3F, Sigma")),
    (0, b"\0MRM", _RAW.format("MRW, Minolta")),
    (0, b"\xff\x0a", _OTHER.format("JPEG XL")),
    (4, b"JXL \r\n\x87\n", _OTHER.format("JPEG XL")),
    (0, b"II\xbc\x01", _OTHER.format("JPEG XR")),
    (0, b"\xff\xd8\xff\xf7", _OTHER.format("JPEG-LS")),
    (0, b"BPG\xfb", _OTHER.format("BPG")),
    (0, b"\x76\x2f\x31\x01", _OTHER.format("OpenEXR")),
    (0, b"#?RADIANCE", _OTHER.format("Radiance HDR")),
    (0, b"#?RGBE", _OTHER.format("Radiance HDR")),
    (128, b"DICM", _OTHER.format("DICOM, a medical picture")),
    (0, b"SIMPLE  =", _OTHER.format("FITS, a picture of astronomy")),
    (0, b"\x89HDF", _OTHER.format("HDF5, scientific data")),
    (0, b"\x93NUMPY", _OTHER.format("a NumPy array")),
    (0, b"gimp xcf", _OTHER.format("a GIMP document")),
    (0, b"DDS ", _OTHER.format("DDS, a texture")),
    (0, b"AT&TFORM", _OTHER.format("DjVu")),
    (0, b"\0\0\1\0", _OTHER.format("a Windows icon")),
    (0, b"icns", _OTHER.format("a macOS icon")),
    (0, b"\xd7\xcd\xc6\x9a", _OTHER.format("WMF, a vector drawing")),
    (40, b" EMF", _OTHER.format("EMF, a vector drawing")),
    (4, b"ftyphevc", _OTHER.format("a sequence of HEVC pictures")),
    (4, b"ftyphevx", _OTHER.format("a sequence of HEVC pictures")),
    (4, b"ftypmsf1", _OTHER.format("a sequence of HEIF pictures")),
    (4, b"ftypqt", _VIDEO.format("QuickTime; of a Live Photo, perhaps")),
    (4, b"ftypisom", _VIDEO.format("MP4")),
    (4, b"ftypmp4", _VIDEO.format("MP4")),
    (4, b"ftypM4V", _VIDEO.format("MP4")),
    (4, b"ftyp3g", _VIDEO.format("3GP")),
    (4, b"moov", _VIDEO.format("QuickTime")),
    (8, b"AVI ", _VIDEO.format("AVI")),
    (0, b"\x1a\x45\xdf\xa3", _VIDEO.format("Matroska or WebM")),
    (0, b"PK\x03\x04", _PACKED.format("a ZIP archive")),
    (0, b"Rar!", _PACKED.format("a RAR archive")),
    (0, b"7z\xbc\xaf", _PACKED.format("a 7z archive")),
    (257, b"ustar", _PACKED.format("a tar archive")),
    (0, b"\x1f\x8b", _PACKED.format("compressed with gzip")),
    (0, b"BZh", _PACKED.format("compressed with bzip2")),
    (0, b"\xfd7zXZ", _PACKED.format("compressed with xz")),
    (0, b"\x28\xb5\x2f\xfd", _PACKED.format("compressed with zstd")),
    (0, b"\0\x05\x16\x07", "is what macOS keeps beside a file (its name begins with ._): leave it out"),
    (0, b"bplist0", "is a property list, such as iCloud leaves where a photo is not downloaded: download the photo"),
    (0, b"L\0\0\0\x01\x14\x02", "is a Windows shortcut: name the picture itself"),
)

# Formats that are read, for files whose header is none of theirs after all.
_KNOWN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG", "PNG"),
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"BM", "BMP"),
    (0, b"\0\0\0\x0cjP", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"qoif", "QOI"),
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif", "HEIF or AVIF"),
)


class ImageError(ValueError):
    """Bytes that are not a picture that can be used; the message says why and what to do, without a file's name."""


class Unreadable(ImageError):
    """Bytes that are no picture, or a damaged one: as they are nobody reads them, whatever a run allows."""


def what_is_this(data: bytes) -> str:
    """Return why no decoder accepts these bytes, as far as their beginning tells; it repeats none of them."""
    text = data[:256].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, description in _TEXTS:
        if text.startswith(start):
            return f"the file {description}"
    if stranger := stranger_of(data):
        return stranger
    for offset, start, name in _KNOWN:
        if data.startswith(start, offset):
            fault = "but its header is damaged, cut short or of a rare kind"
            return f"the file begins like {name}, {fault}: fetch it again or export it as PNG"
    if not data.strip(b"\0"):
        return "the file holds nothing but zeros, as a failed copy or recovery leaves it: copy it again"
    return f"the file is of an unknown format: supported are HEIF, {', '.join(FORMATS)}"


def stranger_of(data: bytes) -> str | None:
    """Return what a file of a format that is not read is, and what to do about it; None for all others."""
    named = (description for offset, start, description in _STRANGERS if data.startswith(start, offset))
    return next((f"the file {description}" for description in named), None)
