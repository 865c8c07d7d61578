"""PSNR and SSIM against what they are by definition."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import images, storage
from pipeline.comparison.pictures import similarity_of
from pipeline.images.similarity import EQUAL, Similarity, similarity
from tests.support import draw

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@given(st.integers(0, 255), st.integers(0, 255), st.integers(16, 40), st.integers(16, 40))
def test_flat_pictures_have_closed_forms(first: int, second: int, height: int, width: int) -> None:
    one, other = (np.full((height, width, 3), value, np.uint8) for value in (first, second))
    found = similarity(one, other)
    assert found.psnr is not None
    assert found.ssim is not None
    if first == second:
        assert found == EQUAL
        return
    assert found.psnr == pytest.approx(20 * math.log10(255 / abs(first - second)))
    # Without variance only the first factor of SSIM is left, (2 m n + C1) / (m^2 + n^2 + C1).
    assert found.ssim == pytest.approx((2 * first * second + C1) / (first**2 + second**2 + C1), rel=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_ssim_is_that_of_its_paper(seed: int, strength: int) -> None:
    """Against sums over explicit windows of 11 x 11, as Wang et al. write them."""
    rng = np.random.default_rng(seed)
    one = draw(seed, 20, 18)
    other = (one + rng.normal(0, strength, one.shape)).clip(0, 255).round().astype(np.uint8)
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis) / axis.sum() ** 2
    factors = []
    for channel in range(3):
        views = [
            np.lib.stride_tricks.sliding_window_view(picture[..., channel].astype(float), (11, 11))
            for picture in (one, other)
        ]
        mx, my = ((view * window).sum((2, 3)) for view in views)
        xx, yy = ((view**2 * window).sum((2, 3)) - mean**2 for view, mean in zip(views, (mx, my), strict=True))
        xy = (views[0] * views[1] * window).sum((2, 3)) - mx * my
        factors.append((2 * mx * my + C1) * (2 * xy + C2) / ((mx**2 + my**2 + C1) * (xx + yy + C2)))
    found = similarity(one, other)
    assert found.ssim == pytest.approx(float(np.mean(factors)), abs=1e-9)
    error = float(np.mean((one.astype(float) - other.astype(float)) ** 2))
    assert found.psnr == pytest.approx(10 * math.log10(255**2 / error) if error else math.inf)
    back = similarity(other, one)
    assert back.ssim == pytest.approx(found.ssim, abs=1e-12)
    assert back.psnr == pytest.approx(found.psnr)


def test_the_smallest_picture_there_is_can_be_compared() -> None:
    assert similarity(draw(1, 16, 16), draw(2, 16, 16)).ssim is not None


def test_pictures_of_different_sizes_are_not_compared() -> None:
    assert similarity(draw(1, 20, 30), draw(1, 30, 20)) == Similarity(
        obstacle="the pictures are 30 x 20 and 20 x 30 pixels"
    )


def test_a_picture_that_cannot_be_read_is_an_obstacle(tmp_path: Path) -> None:
    good, bad, gone = (str(tmp_path / name) for name in ("good.png", "bad.png", "gone.png"))
    storage.write_bytes(good, images.encode(draw(1, 20, 30), metadata={"id": "a"}))
    storage.write_bytes(bad, b"no picture")
    same = str(tmp_path / "same.png")
    storage.write_bytes(same, images.encode(draw(1, 20, 30), metadata={"id": "b"}))
    assert similarity_of(good, same) == EQUAL
    for older, newer, lost in ((good, bad, True), (good, gone, True), (bad, good, False), (gone, bad, False)):
        found = similarity_of(older, newer)
        assert (found.psnr, found.ssim, found.lost) == (None, None, lost)
        assert "bad.png" in found.obstacle or "gone.png" in found.obstacle
