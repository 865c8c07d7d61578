"""Messages about files that are no pictures repeat nothing of them: a manifest may name any file of a machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.images.decode import decode, probe
from pipeline.images.errors import ImageError

BEGINNINGS = {
    "nothing": b"",
    "PBM": b"P1\n",
    "PGM": b"P5 ",
    "plain PGM": b"P2 16 16 255\n",
    "PPM": b"P6 12 ",
    "PFM": b"Pf 16 16 ",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "PNG with a header": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x02\0\0\0\x90\x91h6",
    "TIFF": b"II*\0\x08\0\0\0",
    "BigTIFF": b"MM\0+",
    "GIF": b"GIF89a",
    "JPEG": b"\xff\xd8\xff\xe0",
    "BMP": b"BM",
    "QOI": b"qoif",
    "WebP": b"RIFF\x40\0\0\0WEBP",
    "AVIF": b"\0\0\0\x20ftypavif",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
}
"""What files of secrets may begin with by chance, so that a decoder goes on reading."""

SECRETS = st.text("QXZVKW\n '\"\\", min_size=3, max_size=300)
"""Letters of which no message has three in a row."""


@pytest.mark.parametrize("name", BEGINNINGS)
@pytest.mark.filterwarnings("ignore")
@given(SECRETS)
def test_nothing_of_a_file_is_repeated(name: str, secret: str) -> None:
    data = BEGINNINGS[name] + secret.encode()
    for read in (probe, decode):
        try:
            read(data)
        except ImageError as error:
            message = str(error)
            words = [word for word in secret.split() if len(word) > 2]
            assert [word for word in words if word in message] == []
