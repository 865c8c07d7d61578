"""Files that keep a decoder busy are refused before they are decoded; pictures that people have are not."""

import io
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.images.decode import decode
from pipeline.images.errors import FORMATS, ImageError
from pipeline.images.hazards import MAX_COMMENTS, MAX_HEADER, MAX_SCANS, hazard
from tests.pipeline.support.bad_pictures import good


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((96, 64), 50).convert("RGB").save(buffer, "JPEG", **options)
    return buffer.getvalue()


def with_scans(data: bytes, count: int) -> bytes:
    """A JPEG whose last scan is there so many times more."""
    last = data.rindex(b"\xff\xda")
    return data[:-2] + count * data[last:-2] + data[-2:]


def run_length_bmp(width: int, height: int, body: bytes = b"\0\1") -> bytes:
    palette = bytes(1024)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 1, 1, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(body), 0, 0, 54 + 1024) + info + palette + body


def scan_by_scan(data: bytes) -> bytes:
    """A sequential JPEG whose first scan has one of its three components, so that others must follow."""
    scan = data.index(b"\xff\xda")
    head = struct.pack(">HBBBBBB", 8, 1, 1, 0, 0, 63, 0)
    return data[:scan] + b"\xff\xda" + head + data[scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big") :]


HAZARDS: dict[str, tuple[bytes, str]] = {
    "jpeg_scans": (with_scans(jpeg(progressive=True), MAX_SCANS), f"more than {MAX_SCANS} scans"),
    "jpeg_sequential_scans": (with_scans(scan_by_scan(jpeg()), MAX_SCANS), f"more than {MAX_SCANS} scans"),
    "bmp_run_lengths": (run_length_bmp(10_000, 10_000), "run lengths, which takes too long for 100000000 pixels"),
    "bmp_run_lengths_upside_down": (run_length_bmp(10_000, -10_000), "run lengths"),
    "ppm_comments": (b"P2\n32 32\n255\n" + b"#\n" * (MAX_COMMENTS + 1) + b"7 " * 1024, "comments"),
    "ppm_first_comment": (b"P6\n#" + b"x" * MAX_HEADER + b"\n32 32\n255\n" + bytes(3072), "the header of the PPM"),
}


@pytest.mark.parametrize("name", HAZARDS)
def test_what_takes_a_decoder_for_ever_is_refused(name: str) -> None:
    data, why = HAZARDS[name]
    with pytest.raises(ImageError, match=why):
        decode(data)


HARMLESS: dict[str, bytes] = {
    **{format: good(format) for format in FORMATS if format in ("JPEG", "PNG", "BMP", "PPM", "TIFF", "GIF", "QOI")},
    "progressive": jpeg(progressive=True),
    "motion_photo": jpeg() + random.Random(0).randbytes(1_000_000).replace(b"\xff\xd9", b"\xff\xda"),
    "progressive_motion_photo": jpeg(progressive=True) + b"\xff\xda" * 1000,
    "small_run_lengths": run_length_bmp(64, 64, (b"\x40\7" + b"\0\0") * 64),
    "commented_ppm": b"P2 # by a program\n# and a person\n16 16\n255\n" + b"# a row\n".join([b"7 " * 16] * 16),
    "binary_with_hashes": b"P5\n100 100\n255\n" + b"#" * 10_000,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_pictures_that_people_have_are_not_refused(name: str) -> None:
    assert hazard(HARMLESS[name]) is None
    assert hazard(HARMLESS[name][:100]) is None
    assert decode(HARMLESS[name], min_side=1).size


@given(st.sampled_from([b"\xff\xd8\xff", b"BM", b"P6 ", b"P2\n", b""]), st.binary(max_size=300))
def test_any_bytes_are_looked_at(start: bytes, rest: bytes) -> None:
    for data in (start + rest, start + rest.replace(b"\0", b"\xff")):
        assert hazard(data) is None or len(data) > 30
