"""What a result keeps of its photo's EXIF, in every format; and that broken EXIF costs no picture."""

import io
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from nst_kernel.result import StylizeResult
from pipeline import images, storage
from pipeline.images.encode import Format
from pipeline.images.exif import SRGB
from pipeline.images.kept import JPEG_HEAD, Kept, kept_of
from pipeline.manifest.row import Row
from pipeline.options.encoding import Encoding
from pipeline.options.run_options import RunOptions
from pipeline.outputs import summary
from pipeline.planning.batch import PlannedRow
from pipeline.stages.write import encode_result
from tests.support import draw

Base, IFD, GPS = ExifTags.Base, ExifTags.IFD, ExifTags.GPS
TAKEN = "2019:07:01 10:00:00"


def camera() -> Image.Exif:
    """As a camera writes it, sideways."""
    tags = Image.Exif()
    whole: list[tuple[int, Any]] = [(Base.Make, "Canon"), (Base.Model, "EOS"), (Base.DateTime, TAKEN)]
    tags.update([*whole, (Base.Orientation, 6), (Base.Software, "v1"), (Base.ImageDescription, "My holiday")])
    taken: list[tuple[int, Any]] = [(Base.DateTimeOriginal, TAKEN), (Base.FNumber, IFDRational(28, 10))]
    taken += [(Base.MakerNote, b"x" * 9000), (Base.UserComment, b"y" * 5000)]
    taken += [(Base.ExifImageWidth, 4000), (Base.ColorSpace, 65535)]
    tags.get_ifd(IFD.Exif).update(taken)
    tags.get_ifd(IFD.GPSInfo).update({GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (48.0, 8.0, 1.5)})
    return tags


def photo(format: str, tags: Image.Exif | bytes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(draw(1, 48, 64)).save(buffer, format, exif=tags)
    return buffer.getvalue()


def read(data: bytes) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    with Image.open(io.BytesIO(data)) as image:
        tags = image.getexif()
        return dict(tags), dict(tags.get_ifd(IFD.Exif)), dict(tags.get_ifd(IFD.GPSInfo))


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("format", get_args(Format))
def test_date_camera_and_place_go_along_and_nothing_that_no_longer_holds(source: str, format: Format) -> None:
    kept = kept_of(photo(source, camera()), 32, 24)
    data = images.encode(draw(2, 24, 32), format=format, metadata={"id": "mine"}, kept=kept)
    whole, taken, place = read(data)
    assert (whole[Base.Make], whole[Base.Model], whole[Base.DateTime]) == ("Canon", "EOS", TAKEN)
    assert Base.Orientation not in whole
    assert Base.Software not in whole
    assert whole[Base.ImageDescription] == "My holiday"
    assert taken[Base.DateTimeOriginal] == TAKEN
    assert taken[Base.FNumber] == pytest.approx(2.8)
    assert (taken[Base.ExifImageWidth], taken[Base.ExifImageHeight], taken[Base.ColorSpace]) == (32, 24, SRGB)
    assert not {Base.MakerNote, Base.UserComment} & taken.keys()
    assert place == {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (48.0, 8.0, 1.5)}
    assert images.read_metadata(data) == {"id": "mine"}
    np.testing.assert_array_equal(images.decode(data).shape, (24, 32, 3))


def test_a_photo_without_exif_has_none_to_keep() -> None:
    assert kept_of(photo("JPEG", b""), 32, 24) == Kept()
    assert kept_of(b"no picture", 32, 24) == Kept()
    only_sideways = Image.Exif()
    only_sideways[Base.Orientation] = 6
    assert kept_of(photo("JPEG", only_sideways), 32, 24) == Kept()


@given(st.binary(max_size=400), st.integers(0, 300), st.binary(max_size=40))
def test_broken_exif_costs_no_picture(rubbish: bytes, place: int, patch: bytes) -> None:
    sound = camera().tobytes()
    for tags in (b"Exif\0\0" + rubbish, b"Exif\0\0" + sound[:place] + patch + sound[place + len(patch) :]):
        kept = kept_of(photo("JPEG", tags), 32, 24)
        for format in get_args(Format):
            images.encode(draw(2, 24, 32), format=format, metadata={"id": "mine"}, kept=kept)


@pytest.mark.parametrize(("name", "source"), [("a.jpg", "JPEG"), ("a.png", "PNG"), ("a.webp", "WEBP")])
def test_a_result_is_encoded_as_asked(name: str, source: str) -> None:
    from nst_kernel import StyleParams

    uri = f"memory://exif/{name}"
    storage.write_bytes(uri, photo(source, camera()) + bytes(JPEG_HEAD))  # more than is read of a JPEG
    planned = PlannedRow(Row("i", uri, None, "o.jpg", StyleParams(), "", 1), "f", (24, 32))
    outcome = StylizeResult(draw(2, 24, 32), diverged=False, losses={}, curve={}, iterations=0)
    kept, stripped, small = (
        encode_result(planned, outcome, "e", Encoding(quality=quality, keep_exif=keep))
        for quality, keep in ((95, True), (95, False), (20, False))
    )
    assert read(kept)[0][Base.Make] == "Canon"
    assert Base.Make not in read(stripped)[0]
    assert len(small) < len(stripped)
    assert images.read_metadata(kept)["id"] == "i"


def test_a_run_tells_a_retry_how_its_pictures_are_written(tmp_path: Path) -> None:
    output = str(tmp_path)
    assert summary.encoding_of(output) == Encoding()
    summary.write(
        output, {"job": RunOptions(output=output, encoding=Encoding(quality=70, keep_exif=True)).model_dump()}
    )
    assert summary.encoding_of(output) == Encoding(quality=70, keep_exif=True)
