"""Pictures that no archive should hold and every archive does: `BAD_PICTURES`, name -> bytes."""

import gzip
import io
import random
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def good(format: str, size: tuple[int, int] = (96, 64)) -> bytes:
    """A sound noisy picture of (width, height) in a Pillow format."""
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, pixels: bytes | None = None) -> bytes:
    """An RGB PNG that claims a size and holds `pixels` (already compressed; None: no pixel chunk at all)."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = b"" if pixels is None else chunk(b"IDAT", pixels)
    return PNG_SIGNATURE + header + body + chunk(b"IEND", b"")


def _half(format: str) -> bytes:
    data = good(format)
    return data[: len(data) // 2]


def _damaged(data: bytes, start: int, replacement: bytes) -> bytes:
    return data[:start] + replacement + data[start + len(replacement) :]


def _huge_jpeg() -> bytes:
    data = good("JPEG")
    frame = data.index(b"\xff\xc0")
    return _damaged(data, frame + 5, struct.pack(">HH", 65500, 65500))


def _huge_webp() -> bytes:
    canvas = (16383).to_bytes(3, "little")
    extended = b"VP8X" + struct.pack("<I", 10) + bytes([2, 0, 0, 0]) + canvas + canvas
    animation = b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    frame = good("WEBP")[12:]
    inner = bytes(6) + (95).to_bytes(3, "little") + (63).to_bytes(3, "little") + bytes(4) + frame
    body = b"WEBP" + extended + animation + b"ANMF" + struct.pack("<I", len(inner)) + inner
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff(*, side: int, bits: int = 8, samples: int = 3, sample_format: int = 1, chain: int = 0) -> bytes:
    entries = [
        (256, 4, 1, side),
        (257, 4, 1, side),
        (258, 3, 1, bits),
        (259, 3, 1, 1),
        (262, 3, 1, 2 if samples == 3 else 1),
        (273, 4, 1, 8),
        (277, 3, 1, samples),
        (278, 4, 1, side),
        (279, 4, 1, 64),
        (339, 3, 1, sample_format),
    ]
    table = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + table + struct.pack("<I", chain) + bytes(64)


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("photo.jpg", good("JPEG"))
    return buffer.getvalue()


_HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body></body></html>"
_RAW_PIXELS = bytes(64 * (1 + 3 * 64))

BAD_PICTURES: dict[str, bytes] = {
    # Not pictures at all
    "empty": b"",
    "one_byte": b"\xff",
    "zeros": bytes(4096),
    "random": random.Random(0).randbytes(4096),
    "plain_text": b"a photograph of a cat\n" * 20,
    "html": _HTML,
    "html_after_mark": b"\xef\xbb\xbf\r\n  " + _HTML,
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>',
    "store_error": b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>',
    "json_error": b'{"message": "Forbidden"}',
    "lfs_pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n",
    "pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n",
    "zip": _zip(),
    "gzip": gzip.compress(good("JPEG")),
    "photoshop": b"8BPS\0\1" + bytes(200),
    "heic": struct.pack(">I", 24) + b"ftypheic" + bytes(200),
    "mp4": struct.pack(">I", 24) + b"ftypisom" + bytes(200),
    # Headers that lie or stop
    "jpeg_start_only": b"\xff\xd8\xff\xe0",
    "jpeg_header_only": good("JPEG")[:200],
    "jpeg_no_frame": b"\xff\xd8\xff\xd9",
    "jpeg_huge": _huge_jpeg(),
    "png_signature_only": PNG_SIGNATURE,
    "png_huge": png(60_000, 60_000, zlib.compress(bytes(1000))),
    "png_wide": png(2**31 - 1, 16, zlib.compress(bytes(1000))),
    "png_zero_width": png(0, 64, zlib.compress(b"")),
    "png_checksum": _damaged(good("PNG"), 29, b"\0\0\0\0"),
    "gif_huge": _damaged(good("GIF"), 6, struct.pack("<HH", 65535, 65535)),
    "gif_no_frame": good("GIF")[:13] + b";",
    "webp_huge": _huge_webp(),
    "bmp_huge": _damaged(good("BMP"), 18, struct.pack("<ii", 60_000, 60_000)),
    "tiff_huge": _tiff(side=60_000),
    "tiff_no_directory": b"II*\0" + struct.pack("<I", 0),
    "tiff_float_colour": _tiff(side=64, bits=32, samples=3, sample_format=3),
    "ppm_header": b"P6\nsixty four\n255\n",
    "qoi_huge": b"qoif" + struct.pack(">IIBB", 60_000, 60_000, 3, 0) + bytes(64),
    # Pixels that are missing or broken
    "jpeg_half": _half("JPEG"),
    "png_half": _half("PNG"),
    "png_no_pixels": png(64, 64),
    "png_few_pixels": png(64, 64, zlib.compress(_RAW_PIXELS[:2000])),
    "png_not_deflated": png(64, 64, b"not deflated at all"),
    "gif_half": _half("GIF"),
    "webp_half": _half("WEBP"),
    "avif_half": _half("AVIF"),
    "jpeg2000_half": _half("JPEG2000"),
    "tiff_half": _half("TIFF"),
    "bmp_half": _half("BMP"),
    # Sound, but nothing to paint on
    "one_pixel": good("PNG", (1, 1)),
    "sliver": good("PNG", (400, 15)),
}
