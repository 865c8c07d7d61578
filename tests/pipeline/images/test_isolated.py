"""Whatever a picture does to its decoder is an ImageError of that picture, within its deadline and its memory."""

import functools
import logging
from typing import Any

import numpy as np
import pytest

from nst_kernel.pictures import fit
from pipeline import images
from pipeline.images import isolated
from pipeline.images.decode import decode as decode_here
from pipeline.images.decode import decode_to as decode_to_here
from pipeline.options import Decoding, decoding
from tests.pipeline.images.test_decode import RED, plain, saved
from tests.pipeline.support import calls
from tests.pipeline.support.bad_pictures import good, png

BRIEF = Decoding(decode_timeout=0.2)
SLOW = b"P6\n1500 1500\n254\n" + bytes(3 * 1500 * 1500)
"""A sound picture whose levels Pillow scales one by one, in Python."""


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_picture_is_what_it_is_here(format: str) -> None:
    data = good(format)
    np.testing.assert_array_equal(images.decode(data), decode_here(data))
    assert images.probe(data) == images.ImageInfo(96, 64, format.lower())
    for size in ((20, 30), functools.partial(fit, size=48), images.within(48)):
        there, here = images.decode_to(data, size), decode_to_here(data, size)
        np.testing.assert_array_equal(there[0], here[0])
        assert there[1] == here[1] == (64, 96)


def test_warnings_are_logged_here(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        images.decode(saved(plain("RGB", RED), icc_profile=b"no profile"))
    assert "colour profile ignored" in caplog.text


def test_a_slow_picture_fails_within_its_time() -> None:
    for decode in (images.decode, functools.partial(images.decode_to, size=(20, 20))):
        with pytest.raises(images.ImageError, match=r"more than 0\.2 s and was stopped.*--decode-timeout"):
            decode(SLOW, limits=BRIEF)
    assert images.decode(good("PNG")).shape == (64, 96, 3)


def test_a_slow_header_fails_within_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "HEADER_SECONDS", 1e-6)
    with pytest.raises(images.ImageError, match=r"more than 1e-06 s and was stopped: save the picture again$"):
        images.probe(good("PNG"))


def test_a_picture_that_crashes_its_decoder_fails() -> None:
    with pytest.raises(images.ImageError, match=r"crashed its decoder .SIGSEGV."):
        isolated._isolated(Decoding(), 60.0, calls.crash)


def test_a_picture_that_needs_too_much_memory_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    black = saved(plain("L", 0).resize((6000, 6000)))
    monkeypatch.setattr(decoding, "_BYTES_PER_PIXEL", 0)
    monkeypatch.setattr(decoding, "_WITHOUT_PICTURES", 150 * 1024**2)
    with pytest.raises(images.ImageError, match=r"memory.*scale it down"):
        images.decode_to(black, (20, 20))


def test_limits_are_the_callers() -> None:
    with pytest.raises(images.ImageError, match=r"96 x 64 pixels are more than the 6,000 allowed.*--max-megapixels"):
        images.decode(good("PNG"), limits=Decoding(max_megapixels=0.006))
    bomb = png(20_000, 20_000)
    with pytest.raises(images.ImageError, match="20000 x 20000 pixels are more than the 110,000,000"):
        images.probe(bomb)
    assert images.probe(bomb, limits=Decoding(max_megapixels=400)).width == 20_000, "Pillow would stop at 179 million"


def test_headers_are_read_together_and_a_hazard_among_them_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    heads, asked = [good("PNG"), b"<html>", b"poison", good("JPEG")], list[int]()
    isolate = isolated._isolated

    def poisoned(limits: Decoding, seconds: float, function: Any, given: Any) -> Any:
        asked.append(len(given) if isinstance(given, list) else 1)
        if given == b"poison" or (isinstance(given, list) and b"poison" in given):
            raise images.ImageError("the picture crashed its decoder")
        return isolate(limits, seconds, function, given)

    monkeypatch.setattr(isolated, "_isolated", poisoned)
    png_info, html, poison, jpeg_info = images.probe_all(heads)
    assert (png_info, jpeg_info) == (images.ImageInfo(96, 64, "png"), images.ImageInfo(96, 64, "jpeg"))
    assert "HTML" in str(html)
    assert "crashed" in str(poison)
    assert asked == [4, 1, 1, 1, 1]
    assert len(images.probe_all([heads[0], heads[3]])) == 2
    assert asked[5:] == [2]
