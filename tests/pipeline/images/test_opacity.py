"""Transparent pictures: decoded with their opacity, resized, and written."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from nst_kernel import StyleParams, StylizeResult
from pipeline.images import TRANSPARENT, ImageError, encode
from pipeline.images.decode import decode, decode_to, resize_transparent
from pipeline.images.encode import Format
from pipeline.manifest import ManifestError, Row, check_formats
from pipeline.options import RunOptions
from pipeline.planning import Pictures
from pipeline.stages import encode_result
from pipeline.stages import optimise as actor_module
from pipeline.stages.fetch import fetch
from pipeline.stages.optimise import StyleActor
from tests.pipeline.images.test_deep_inputs import LEVELS, png, tiff
from tests.pipeline.stages.test_optimise import QUICK, batch_of
from tests.support import draw, random_weights


def spot(height: int = 32, width: int = 40) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    far = np.hypot(y - height / 2, x - width / 2)
    opacity = np.asarray(np.clip(255 * (0.4 * height - far) / 3, 0, 255), np.uint8)
    return np.dstack([draw(0, height, width), opacity])


def saved(pixels: NDArray[Any], format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})]
)
def test_opacity_and_what_is_seen_are_those_of_the_file(format: str, options: dict[str, Any]) -> None:
    found, shape = decode_to(saved(spot(), format, **options), None, opacity=True)
    assert shape == (32, 40)
    np.testing.assert_array_equal(found[..., 3], spot()[..., 3])
    seen = spot()[..., 3] >= 8
    assert np.abs(found[seen].astype(int) - spot()[seen]).max() <= 1
    assert len(np.unique(found[spot()[..., 3] == 0], axis=0)) > 10, "colours are spread over what is transparent"


@pytest.mark.parametrize("data", [png(LEVELS), tiff(LEVELS, extrasamples=["unassalpha"])])
def test_sixteen_bits_have_an_opacity_of_sixteen(data: bytes) -> None:
    found, _ = decode_to(data, None, deep=True, opacity=True)
    np.testing.assert_array_equal(found[..., 3], LEVELS[..., 3])
    seen = LEVELS[..., 3] > 8 * 257
    assert np.abs(found[seen].astype(int) - LEVELS[seen]).max() <= 1


def test_opaque_pictures_are_decoded_as_ever() -> None:
    opaque = np.dstack([draw(0, 32, 40), np.full((32, 40), 255, np.uint8)])
    for data in (saved(opaque), saved(draw(0, 32, 40), "JPEG")):
        np.testing.assert_array_equal(decode_to(data, (16, 20), opacity=True)[0], decode_to(data, (16, 20))[0])


def test_resizing_mixes_what_is_seen_alone() -> None:
    """Against a mean of squares in float64, of colours times opacity over opacity."""
    smooth = np.kron(spot(16, 20), np.ones((4, 4, 1))).astype(np.uint8)
    hidden = smooth[..., 3] == 0
    loud = np.where(hidden[..., None], np.array([255, 0, 255, 0], np.uint8), smooth)
    np.testing.assert_array_equal(resize_transparent(loud, (16, 20)), resize_transparent(smooth, (16, 20)))
    flat = np.dstack([np.full((64, 80, 3), 90, np.uint8), smooth[..., 3]])
    smaller = resize_transparent(flat, (16, 20))
    assert np.abs(smaller[..., :3].astype(int) - 90).max() <= 1
    mean = smooth[..., 3].reshape(16, 4, 20, 4).mean((1, 3))
    assert np.abs(smaller[..., 3] - mean).mean() < 6


@pytest.mark.parametrize("format", TRANSPARENT)
def test_files_hold_the_opacity(format: Format) -> None:
    data = encode(spot(), format=format, metadata={"id": "mine"})
    written = np.asarray(Image.open(io.BytesIO(data)))
    assert written.shape == (32, 40, 4)
    assert np.abs(written[..., 3].astype(int) - spot()[..., 3]).max() <= (3 if format == "avif" else 0)
    if format in ("png", "tiff"):
        np.testing.assert_array_equal(written, spot())


def test_files_hold_an_opacity_of_sixteen_bits() -> None:
    as_tiff = tifffile.imread(io.BytesIO(encode(LEVELS, format="tiff", metadata={})))
    np.testing.assert_array_equal(as_tiff, LEVELS)
    np.testing.assert_array_equal(
        decode_to(encode(LEVELS, format="png", metadata={}), None, deep=True, opacity=True)[0][..., 3], LEVELS[..., 3]
    )
    with pytest.raises(ImageError, match=r"with opacity cannot be written as jpeg: expected a name that ends in .png"):
        encode(spot(), format="jpeg", metadata={})


def row(folder: Path, output: str = "r.png", **values: Any) -> Row:
    params = dataclasses.replace(QUICK, transparency="keep", **values)
    return Row("r", str(folder / "c.png"), str(folder / "s.png"), output, params, "rows.csv", 1)


def test_a_row_keeps_the_opacity_of_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.png").write_bytes(saved(spot()))
    (tmp_path / "s.png").write_bytes(saved(spot(32, 32)))
    monkeypatch.setattr(actor_module, "load_encoder", lambda _: random_weights(deepest="conv2_2"))
    batch = batch_of([row(tmp_path)])
    fetched = fetch(batch)
    (pictures,) = fetched.pictures
    assert isinstance(pictures, Pictures)
    assert pictures.content is not None
    assert (pictures.content.shape[2], pictures.style[0].shape[2]) == (4, 4)
    (outcome,) = StyleActor("any")(fetched).outcomes
    assert isinstance(outcome, StylizeResult)
    data = encode_result(batch.rows[0], outcome, "e", RunOptions(output="/o").encoding)
    written = np.asarray(Image.open(io.BytesIO(data)))
    assert written.shape[2] == 4
    if written.shape[:2] == (32, 40):
        np.testing.assert_array_equal(written[..., 3], spot()[..., 3])
    (usual,) = fetch(batch_of([dataclasses.replace(row(tmp_path), params=QUICK)])).pictures
    assert isinstance(usual, Pictures)
    assert usual.content is not None
    assert usual.content.shape[2] == 3


@pytest.mark.parametrize(
    ("output", "depth", "fits"),
    [
        ("r.png", 8, True),
        ("r.tif", 16, True),
        ("r.webp", 8, True),
        ("r.avif", 8, True),
        ("r.jpg", 8, False),
        ("r.jpeg", 8, False),
    ],
)
def test_jpeg_is_refused_before_anything_starts(tmp_path: Path, output: str, depth: int, fits: bool) -> None:
    rows = [row(tmp_path, output), dataclasses.replace(row(tmp_path, output), params=StyleParams())]
    if fits:
        check_formats(rows, depth)
        return
    with pytest.raises(ManifestError, match="since transparency is keep, and JPEG has none") as raised:
        check_formats(rows, depth)
    assert len(raised.value.problems) == 1


def test_what_others_decode_lies_on_white() -> None:
    white = np.where(spot()[..., 3:] == 0, 255, decode(saved(spot())))
    np.testing.assert_array_equal(decode(saved(spot())), white)
