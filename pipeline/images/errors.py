"""Why bytes are no picture that can be used: the error, and what else files with a picture's name often are."""

# Pillow's other decoders are old, seldom met and seldom tested; one of them starts another program.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000", "PPM", "QOI")

# Other files that often have a picture's name, by their first bytes, and what to do about it.
_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (b"<!doctype", "looks like HTML, not a picture: its address probably answered with an error or log-in page"),
    (b"<html", "looks like HTML, not a picture: its address probably answered with an error or log-in page"),
    (b"<svg", "looks like SVG, a vector drawing: convert it to PNG"),
    (b"<?xml", "looks like XML (SVG, or a store's error message), not a picture: fetch it again or convert it"),
    (b"{", "looks like JSON (a service's error message?), not a picture: fetch it again"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the picture itself: run `git lfs pull`"),
    (b"%pdf", "is a PDF: export its pages as pictures"),
    (b"%!ps", "is PostScript: convert it to PNG"),
    (b"pk\x03\x04", "is a ZIP archive: unpack it"),
    (b"\x1f\x8b", "is compressed with gzip: unpack it"),
    (b"ftyphei", "is HEIC, which is not supported: convert it to JPEG"),
    (b"ftypmif", "is HEIF, which is not supported: convert it to JPEG"),
    (b"8bps", "is a Photoshop document: export it as PNG or TIFF"),
)
_KNOWN: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"RIFF", "WebP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"BM", "BMP"),
    (b"\0\0\0\x0cjP", "JPEG 2000"),
    (b"qoif", "QOI"),
    (b"ftypavi", "AVIF"),
)


class ImageError(ValueError):
    """Bytes that are not a picture that can be used; the message says why and what to do, without a file's name."""


def what_is_this(data: bytes) -> str:
    """Return why no decoder accepts these bytes, as far as their beginning tells."""
    text = data[:256].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, description in _STRANGERS:
        if text.startswith(start) or data.startswith(start, 4):
            return f"the file {description}"
    for start, name in _KNOWN:
        if data.startswith(start) or data.startswith(start, 4):
            fault = "but its header is damaged, cut short or of a rare kind"
            return f"the file begins like {name}, {fault}: fetch it again or export it as PNG"
    return f"unknown format (first bytes: {data[:8].hex(' ')}): supported are {', '.join(FORMATS)}"
