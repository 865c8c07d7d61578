"""The memory of decoding: bands give what the whole gives, large JPEGs are scaled on the way, a pixel has its bytes."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pipeline.images import resize
from pipeline.images.decode import _How, _stored, decode, decode_to
from pipeline.options import DEFAULT_DECODING
from tests.pipeline.images.test_decode import MODES, STORED, oriented, quarters, saved, wide
from tests.support import REPOSITORY

decoder = importlib.import_module("pipeline.images.decode")  # the package's own `decode` is a function


@pytest.mark.parametrize("name", MODES)
def test_bands_make_no_difference(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = decode(MODES[name][0])
    monkeypatch.setattr(decoder, "BAND_PIXELS", 5 * whole.shape[1])
    np.testing.assert_array_equal(decode(MODES[name][0]), whole)


def test_levels_are_scaled_by_the_largest_of_all_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = np.tile(np.linspace(0, 200, 64, dtype=np.float32), (64, 1)).T
    data = saved(Image.fromarray(ramp), "TIFF")
    whole = decode(data)
    monkeypatch.setattr(decoder, "BAND_PIXELS", 1)
    np.testing.assert_array_equal(decode(data), whole)


def test_a_profile_holds_for_all_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(Image.fromarray(quarters()), icc_profile=wide())
    whole = decode(data)
    assert np.abs(whole.astype(int) - quarters()).max() > 3
    monkeypatch.setattr(decoder, "BAND_PIXELS", 100)
    np.testing.assert_array_equal(decode(data), whole)


def smooth(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return resize(noise, (height, width))


@pytest.mark.parametrize(
    ("size", "decoded"), [((30, 40), 96), ((96, 128), 192), ((190, 250), 384), ((384, 512), 768), ((768, 1024), 768)]
)
def test_a_large_jpeg_is_scaled_while_it_is_decoded(size: tuple[int, int], decoded: int) -> None:
    data = saved(Image.fromarray(smooth(768, 1024)), "JPEG", quality=95)
    pixels, _, shown, wanted = _stored(data, size, _How(10**6))
    assert (shown, wanted) == ((768, 1024), size)
    assert pixels.shape[0] == decoded
    exact = resize(decode(data), size)
    assert np.abs(decode_to(data, size)[0].astype(int) - exact).mean() < 2


@pytest.mark.parametrize("orientation", STORED)
def test_a_turned_jpeg_gets_its_size_upright(orientation: int) -> None:
    picture, shown = decode_to(oriented(orientation, "JPEG"), (16, 24))
    assert (picture.shape, shown) == ((16, 24, 3), (32, 48))
    assert np.abs(picture.astype(int) - resize(quarters(), (16, 24))).mean() < 6
    assert decode_to(oriented(orientation, "JPEG"), lambda height, width: (height * 2, width))[0].shape == (64, 48, 3)


MEASURE = """
import importlib, io, os, sys
from PIL import Image
decoder = importlib.import_module("pipeline.images.decode")
SIDE, decoder.BAND_PIXELS = 2000, 2**18
def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
def encoded(mode, format, side):
    buffer = io.BytesIO()
    Image.new(mode, (side, side)).save(buffer, format)
    return buffer.getvalue()
def measure(mode, format):
    decoder.decode(encoded(mode, format, 16))  # which loads what it takes to do so
    data = encoded(mode, format, SIDE)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = status("VmRSS")
    decoder.decode(data)
    print(mode, format, (status("VmHWM") - before) * 1024 / SIDE**2, flush=True)
for mode, format in zip(sys.argv[1::2], sys.argv[2::2]):
    if not os.fork():
        measure(mode, format)
        break
    assert os.wait()[1] == 0
"""
"""Measures each in a fork, so that memory which one has given back is not there for the next."""

MOST = {
    ("RGB", "PNG"): 9,
    ("RGBA", "PNG"): 10,
    ("I;16", "PNG"): 9,
    ("I", "TIFF"): 12,
    ("F", "TIFF"): 12,
    ("P", "PNG"): 9,
}
"""Bytes of memory for each pixel, by mode and format."""


@pytest.fixture(scope="module")
def taken() -> dict[tuple[str, str], float]:
    """The bytes of memory for each pixel that decoding took, by mode and format."""
    command = [sys.executable, "-c", MEASURE, *(word for kind in MOST for word in kind)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=120)
    return {(mode, format): float(taken) for mode, format, taken in map(str.split, done.stdout.splitlines())}


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.xdist_group("decoding")
@pytest.mark.parametrize("kind", MOST, ids="-".join)
def test_memory_for_each_pixel_is_bounded(kind: tuple[str, str], taken: dict[tuple[str, str], float]) -> None:
    assert taken[kind] < MOST[kind]


def test_the_memory_of_a_process_that_decodes_follows_from_the_largest_picture() -> None:
    assert 1e9 < DEFAULT_DECODING.memory < 4e9
