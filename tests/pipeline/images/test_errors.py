"""Files of formats that are not read are named, with what to do about them; none of their bytes are repeated."""

import pytest

from pipeline.images.decode import decode, probe
from pipeline.images.errors import ImageError

STRANGERS: dict[bytes, tuple[str, str]] = {
    b"\xff\x0a\xfa\x1f": ("JPEG XL", "export"),
    b"\0\0\0\x0cJXL \r\n\x87\n": ("JPEG XL", "export"),
    b"\0\0\0\x18ftypcrx \0\0\0\1crx isom": ("CR3", "develop"),
    b"II*\0\x10\0\0\0CR\x02\0": ("camera's raw", "develop"),
    b"FUJIFILMCCD-RAW 0201": ("RAF", "develop"),
    b"IIRO\x08\0\0\0": ("ORF", "develop"),
    b"IIU\0\x18\0\0\0": ("RW2", "develop"),
    b"\x76\x2f\x31\x01\2\0\0\0": ("OpenEXR", "export"),
    bytes(128) + b"DICM\2\0": ("DICOM", "export"),
    b"SIMPLE  =                    T": ("FITS", "export"),
    b"#?RADIANCE\n": ("Radiance", "export"),
    b"%PDF-1.7\n": ("PDF", "export its pages"),
    b"8BPS\0\1": ("Photoshop", "export"),
    b"gimp xcf v011\0": ("GIMP", "export"),
    b"\0\0\0\x18ftyphevc\0\0\0\0hevcmsf1": ("HEVC", "export"),
    b"\0\0\0\x14ftypqt  \0\0\0\0qt  ": ("video", "frame"),
    b"\0\0\0\x18ftypisom\0\0\2\0isomiso2": ("video", "frame"),
    b"\x1a\x45\xdf\xa3": ("Matroska", "frame"),
    b"RIFF\0\0\1\0AVI LIST": ("AVI", "frame"),
    b"<?xpacket begin='' id='W5'?>": ("XMP sidecar", "photo itself"),
    b"data:image/png;base64,iVBOR": ("base64", "decode"),
    b"\0\x05\x16\x07\0\2\0\0Mac OS X": ("macOS", "leave it out"),
    b"bplist00\xd4": ("iCloud", "download"),
    b"7z\xbc\xaf\x27\x1c": ("7z", "unpack"),
    b"Rar!\x1a\7": ("RAR", "unpack"),
}


@pytest.mark.parametrize("start", STRANGERS, ids=lambda start: STRANGERS[start][0])
def test_a_stranger_is_named(start: bytes) -> None:
    name, advice = STRANGERS[start]
    for read in (probe, decode):
        with pytest.raises(ImageError, match=name) as caught:
            read(start + b"\1" * 200)
        assert advice in str(caught.value)


def test_no_byte_of_an_unknown_file_is_told() -> None:
    secret = b"root:x:0:0:root:/root:/bin/sh\n"
    with pytest.raises(ImageError, match="unknown format: supported are HEIF, JPEG, PNG") as caught:
        decode(secret)
    assert "root" not in str(caught.value)
    assert secret[:8].hex(" ") not in str(caught.value)


def test_a_file_of_zeros_was_lost_in_copying() -> None:
    with pytest.raises(ImageError, match="nothing but zeros"):
        decode(bytes(5000))
