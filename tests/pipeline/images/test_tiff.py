"""The page of a TIFF that is its picture; the raws of cameras, which have none; and bands that are no colours."""

import io
import struct
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from pipeline.images.decode import ImageInfo, decode, probe
from pipeline.images.errors import ImageError
from tests.support import draw

FULL, PREVIEW = draw(1, 60, 80), draw(2, 15, 20)
REDUCED, WHOLE, MASK = 1, 0, 4


def tiff(*pages: tuple[NDArray[Any], int, int], big: bool = False, order: Literal["<", ">"] = "<") -> bytes:
    """A TIFF of pages, each a picture with its NewSubfileType, which contains that many of the next."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=big, byteorder=order) as file:
        for picture, kind, contained in pages:
            photometric = "rgb" if picture.ndim == 3 else "minisblack"
            file.write(picture, photometric=photometric, subfiletype=kind, subifds=contained, metadata=None)
    return buffer.getvalue()


@pytest.mark.parametrize(("big", "order"), [(False, "<"), (False, ">"), (True, "<")])  # Pillow reads no others
@pytest.mark.parametrize("contained", [False, True])
def test_a_reduced_first_page_gives_way_to_the_full_one(big: bool, order: Literal["<", ">"], contained: bool) -> None:
    data = tiff((PREVIEW, REDUCED, int(contained)), (FULL, WHOLE, 0), big=big, order=order)
    assert probe(data) == ImageInfo(80, 60, "tiff")
    np.testing.assert_array_equal(decode(data), FULL)


def test_masks_and_reduced_copies_behind_the_picture_are_passed_over() -> None:
    np.testing.assert_array_equal(decode(tiff((FULL, WHOLE, 0), (PREVIEW, REDUCED, 0))), FULL)
    opaque = np.full((60, 80), 255, dtype=np.uint8)
    data = tiff((opaque, REDUCED, 0), (FULL, WHOLE, 0))
    reduced, mask = (struct.pack("<HHII", 254, 4, 1, kind) for kind in (REDUCED, MASK))
    assert reduced in data
    np.testing.assert_array_equal(decode(data.replace(reduced, mask)), FULL)


def test_where_all_pages_are_called_reduced_the_largest_is_the_picture() -> None:
    np.testing.assert_array_equal(decode(tiff((PREVIEW, REDUCED, 0), (FULL, REDUCED, 0))), FULL)


def test_a_reduced_copy_alone_is_no_picture() -> None:
    with pytest.raises(ImageError, match="only reduced copies"):
        decode(tiff((PREVIEW, REDUCED, 0)))


@pytest.mark.parametrize("contained", [False, True])
def test_the_beginning_of_a_file_does_not_pass_its_preview_for_the_picture(contained: bool) -> None:
    """Planning reads the beginning first, and the whole where that raises."""
    larger = draw(3, 30, 40)
    data = tiff((PREVIEW, REDUCED, 2 * int(contained)), (larger, REDUCED, 0), (FULL, WHOLE, 0))
    np.testing.assert_array_equal(decode(data), FULL)
    for end in range(100, len(data), 500):
        try:
            assert probe(data[:end]) == ImageInfo(80, 60, "tiff")
        except ImageError:
            continue


def raw(*, dng: bool = False, photometric: int = 32803, contained: bool = True, kind: int = REDUCED) -> bytes:
    """What cameras write: a preview as a first page, and what the sensor saw in another."""
    shape = (60, 80, 3) if photometric == 34892 else (60, 80)
    sensor = np.random.default_rng(1).integers(0, 4096, shape, dtype=np.uint16)
    tags = [(50706, 1, 4, (1, 4, 0, 0), True)] if dng else []
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        preview: dict[str, Any] = {"photometric": "rgb", "metadata": None, "extratags": tags}
        file.write(PREVIEW, subfiletype=kind, subifds=int(contained), **preview)
        file.write(sensor, photometric=photometric, metadata=None)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        raw(),
        raw(photometric=34892),
        raw(contained=False),
        raw(kind=WHOLE),
        raw(dng=True, photometric=1, kind=WHOLE),
    ],
    ids=["sensor", "linear", "second page", "preview at full size", "DNG"],
)
def test_a_raw_is_no_picture(data: bytes) -> None:
    for read in (probe, decode):
        with pytest.raises(ImageError, match=r"camera's raw.* develop it"):
            read(data)


def test_pages_in_a_circle_and_without_end_are_left() -> None:
    data = bytearray(tiff((PREVIEW, REDUCED, 0)))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    with pytest.raises(ImageError):
        decode(bytes(data))


@pytest.mark.parametrize("extra", [None, 0])
def test_a_fourth_band_that_is_not_called_opacity_is_left_out(extra: int | None) -> None:
    infrared = np.random.default_rng(2).integers(0, 256, (60, 80, 1), dtype=np.uint8)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.concatenate([FULL, infrared], axis=2), photometric="rgb", extrasamples=[0])
    data = bytearray(buffer.getvalue())
    if extra is None:  # the tag becomes one that nobody knows
        place = data.index(struct.pack("<HHI", 338, 3, 1))
        data[place : place + 2] = struct.pack("<H", 60000)
    np.testing.assert_array_equal(decode(bytes(data)), FULL)


def test_bands_that_are_no_colours_are_refused() -> None:
    """Pillow shows the first of them, as grey, where they lie one behind the other."""
    buffer = io.BytesIO()
    bands = np.moveaxis(np.concatenate([FULL, FULL[..., :1]], axis=2), -1, 0)
    tifffile.imwrite(
        buffer, bands, photometric="minisblack", planarconfig="separate", compression="zlib", metadata=None
    )
    with pytest.raises(ImageError, match="its 4 bands are not called red"):
        decode(buffer.getvalue())


def test_bands_of_16_bits_one_behind_the_other_are_right_or_refused() -> None:
    deep = np.moveaxis(FULL.astype(np.uint16) * 257, -1, 0)
    for compression in (None, "zlib"):
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer, deep, photometric="rgb", planarconfig="separate", compression=compression, metadata=None
        )
        if compression:
            np.testing.assert_array_equal(decode(buffer.getvalue()), FULL)
        else:  # Pillow mixes them up
            with pytest.raises(ImageError, match="one behind the other"):
                decode(buffer.getvalue())


def test_a_fourth_band_that_is_called_opacity_is_opacity() -> None:
    clear = np.zeros((60, 80, 1), dtype=np.uint8)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.concatenate([FULL, clear], axis=2), photometric="rgb", extrasamples=["unassalpha"])
    assert (decode(buffer.getvalue()) == 255).all()
