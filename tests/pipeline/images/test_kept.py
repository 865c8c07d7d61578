"""What a result keeps of its photo's caption, rating and keywords, and where its own parameters are."""

import io
import json
import struct
from typing import Any, get_args
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, IptcImagePlugin

from pipeline import images
from pipeline.images import iptc, xmp
from pipeline.images.encode import Format
from pipeline.images.exif import KEPT
from pipeline.images.kept import JPEG_HEAD, Kept, kept_of, may_follow
from pipeline.images.profile import srgb
from tests.pipeline.support.bad_pictures import chunk
from tests.support import draw

PHOTO, RESULT = draw(1, 48, 64), draw(2, 24, 32)
FORMATS: tuple[Format, ...] = get_args(Format)

PACKET = b"""<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
<rdf:Description xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmlns:dc='http://purl.org/dc/elements/1.1/'
 xmlns:crs='http://ns.adobe.com/camera-raw-settings/1.0/' xmp:Rating='5' crs:Exposure='+1'>
<dc:subject><rdf:Bag><rdf:li>lake</rdf:li><rdf:li>S\xc3\xa9e</rdf:li></rdf:Bag></dc:subject>
<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>At the lake</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"""


def field(number: int, value: bytes, record: int = 2) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


BLOCK = field(90, b"\x1b%G", record=1) + field(25, "Zürich".encode()) + field(25, b"lake") + field(120, b"A caption")
BLOCK += field(80, b"A. Photographer") + field(202, b"\xff" * 100)


def photo(format: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, format, **options)
    return buffer.getvalue()


def read(data: bytes) -> dict[str, Any]:
    """Return the properties of a picture's XMP as another program reads them."""
    with Image.open(io.BytesIO(data)) as image:
        root = ElementTree.fromstring(image.info["xmp"])
    about = root[0][0]
    found = {element.tag: [item.text for item in element.iter() if item.text] for element in about}
    return {tag.rpartition("}")[2]: texts[0] if len(texts) == 1 else texts for tag, texts in found.items()}


def result(kept: Kept, format: Format = "jpeg", **metadata: str) -> bytes:
    return images.encode(RESULT, format=format, metadata={"id": "mine", **metadata}, kept=kept)


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("format", FORMATS)
def test_rating_keywords_and_caption_of_xmp_go_along(source: str, format: Format) -> None:
    if source == "PNG":
        data = photo("PNG")
        data = data[:-12] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PACKET) + data[-12:]
    elif source == "TIFF":
        data = photo("TIFF", tiffinfo={700: PACKET})
    else:
        data = photo(source, xmp=PACKET)
    written = result(kept_of(data, 32, 24), format)
    found = read(written)
    assert (found["Rating"], found["subject"], found["description"]) == ("5", ["lake", "Sée"], "At the lake")
    assert "Exposure" not in found
    assert images.read_metadata(written) == {"id": "mine"}


@pytest.mark.parametrize("format", FORMATS)
def test_the_photos_own_description_stays_where_it_is(format: Format) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "My holiday"
    exif[ExifTags.Base.Rating] = 4
    exif[ExifTags.Base.XPKeywords] = "lake".encode("utf-16-le") + b"\0\0"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"ASCII\0\0\0by me"
    written = result(kept_of(photo(exif=exif), 32, 24), format)
    with Image.open(io.BytesIO(written)) as image:
        tags = image.getexif()
        assert (tags[ExifTags.Base.ImageDescription], tags[ExifTags.Base.Rating]) == ("My holiday", 4)
        assert bytes(tags[ExifTags.Base.XPKeywords]).decode("utf-16-le").rstrip("\0") == "lake"
        assert tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] == b"ASCII\0\0\0by me"
    assert images.read_metadata(written) == {"id": "mine"}


@pytest.mark.parametrize("format", FORMATS)
def test_keywords_and_caption_of_iptc_go_along(format: Format) -> None:
    written = result(kept_of(photo(extra=iptc.segment(BLOCK)), 32, 24), format)
    found = read(written)
    assert (found["subject"], found["description"]) == (["Zürich", "lake"], "A caption")
    assert found["creator"] == "A. Photographer"
    with Image.open(io.BytesIO(written)) as image:
        block = IptcImagePlugin.getiptcinfo(image)
    if format == "jpeg":
        assert block is not None
        assert (block[2, 25], block[2, 120]) == (["Zürich".encode(), b"lake"], b"A caption")
        assert (2, 202) not in block


def test_iptc_without_a_character_set_is_read_as_it_can_be() -> None:
    for encoded in ("Zürich".encode(), "Zürich".encode("latin-1")):
        kept = kept_of(photo(extra=iptc.segment(field(25, encoded))), 32, 24)
        assert read(result(kept))["subject"] == "Zürich"


def test_xmp_comes_before_iptc() -> None:
    kept = kept_of(photo(extra=iptc.segment(BLOCK), xmp=PACKET), 32, 24)
    assert read(result(kept))["description"] == "At the lake"


def test_texts_of_png_are_its_caption() -> None:
    data = photo("PNG")
    texts = chunk(b"tEXt", b"Title\0A lake") + chunk(b"tEXt", b"Author\0me") + chunk(b"tEXt", b"Software\0Paint")
    found = read(result(kept_of(data[:-12] + texts + data[-12:], 32, 24)))
    assert (found["title"], found["creator"]) == ("A lake", "me")
    assert "Paint" not in str(found)


def test_a_result_keeps_nothing_where_nothing_is_to_be_kept() -> None:
    for format in FORMATS:
        written = images.encode(RESULT, format=format, metadata={"id": "mine"})
        with Image.open(io.BytesIO(written)) as image:
            assert not {*image.getexif()} & {*KEPT, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}
            assert "photoshop" not in image.info
        assert images.read_metadata(written) == {"id": "mine"}


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_parameters_of_pictures_of_earlier_versions_are_read(format: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = json.dumps({"id": "old", "params": "{}"})
    assert images.read_metadata(photo(format, exif=exif)) == {"id": "old", "params": "{}"}
    assert images.read_metadata(photo(format, exif=exif, xmp=PACKET)) == {"id": "old", "params": "{}"}


def test_what_is_written_says_that_it_is_srgb() -> None:
    for format in FORMATS:
        written = images.encode(RESULT, format=format, metadata={})
        with Image.open(io.BytesIO(written)) as image:
            assert image.info.get("srgb") == 0 if format == "png" else image.info["icc_profile"] == srgb()
        decoded = images.decode(written)
        with Image.open(io.BytesIO(written)) as image:
            np.testing.assert_array_equal(decoded, np.asarray(image.convert("RGB")))
    ImageCms.ImageCmsProfile(io.BytesIO(srgb()))


BOMB = b"<!DOCTYPE x [<!ENTITY a 'lollollol'><!ENTITY b '&a;&a;&a;&a;'>]>" + PACKET.replace(b"lake", b"&b;")
DEEP = PACKET.replace(b"<rdf:Bag>", b"<rdf:Bag>" * 3000).replace(b"</rdf:Bag>", b"</rdf:Bag>" * 3000)


@pytest.mark.parametrize("packet", [BOMB, DEEP, b"<x", b"", PACKET[:300], PACKET.replace(b"lake", b"lake" * 20_000)])
def test_a_packet_that_cannot_be_kept_costs_no_picture(packet: bytes, caplog: pytest.LogCaptureFixture) -> None:
    kept = kept_of(photo("WEBP", xmp=packet), 32, 24)
    assert not kept.properties
    assert caplog.records or not packet
    assert images.read_metadata(result(kept)) == {"id": "mine"}


@given(st.binary(max_size=300), st.integers(0, len(PACKET)), st.integers(0, len(BLOCK)), st.binary(max_size=20))
def test_broken_metadata_costs_no_picture(rubbish: bytes, place: int, field_place: int, patch: bytes) -> None:
    packet = PACKET[:place] + patch + PACKET[place + len(patch) :]
    block = BLOCK[:field_place] + patch + BLOCK[field_place + len(patch) :]
    for data in (photo(xmp=packet), photo(xmp=rubbish), photo(extra=iptc.segment(block))):
        kept = kept_of(data, 32, 24)
        for format in FORMATS:
            assert images.read_metadata(result(kept, format)) == {"id": "mine"}


def test_a_packet_of_ours_in_a_photo_is_not_taken_for_the_results() -> None:
    once = images.encode(PHOTO, format="jpeg", metadata={"id": "first"})
    written = result(kept_of(once, 32, 24))
    assert images.read_metadata(written) == {"id": "mine"}
    assert xmp.metadata_in(xmp.packet({}, {"id": "x"})) == {"id": "x"}


def test_the_beginning_of_a_jpeg_does_where_its_pixels_begin_there() -> None:
    large = photo() + bytes(JPEG_HEAD)
    assert not may_follow(large[:JPEG_HEAD])
    behind = photo(icc_profile=bytes(JPEG_HEAD), xmp=PACKET)
    assert may_follow(behind[:JPEG_HEAD])
    assert may_follow((photo("PNG") + bytes(JPEG_HEAD))[:JPEG_HEAD])
    assert not may_follow(photo("PNG"))
