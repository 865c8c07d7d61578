"""The drawn pictures repeat, vary with the seed, and have what style transfer needs: texture at every scale."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs import pictures
from jobs.pictures import CONTENTS, STYLES, draw, photographs

EVERY = STYLES + CONTENTS
SIZE = 128


def contrast(picture: NDArray[np.uint8], period: int) -> float:
    """Deviation of grey levels (0-255) left between means over `period` and over twice that many pixels."""

    def means(n: int) -> NDArray[np.float64]:
        side = picture.shape[0] // n
        return np.asarray(picture.reshape(side, n, side, n, 3).mean(axis=(1, 3, 4)))

    return float((means(period) - np.kron(means(2 * period), np.ones((2, 2)))).std())


@pytest.fixture(scope="module")
def drawn() -> dict[str, NDArray[np.uint8]]:
    return {name: draw(name, SIZE, 7) for name in EVERY}


def test_there_are_enough() -> None:
    assert len(STYLES) >= 8
    assert len(CONTENTS) >= 4
    assert len(set(EVERY)) == len(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_repeats_and_varies(name: str) -> None:
    picture, again, other = (draw(name, 48, seed) for seed in (7, 7, 8))
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, again)
    assert np.abs(other.astype(int) - picture).mean() > 5, "another seed should give another picture"


@pytest.mark.parametrize("name", EVERY)
def test_has_texture_at_every_scale(name: str, drawn: dict[str, NDArray[np.uint8]]) -> None:
    levels = {period: contrast(drawn[name], period) for period in (1, 2, 4, 8, 16)}
    assert min(levels.values()) > 2.5, levels
    assert drawn[name].std() > 25, "a picture uses a good part of the range of light"
    assert np.mean((drawn[name] == 0) | (drawn[name] == 255)) < 0.25, "and is not clipped"


def test_styles_differ_in_texture_or_palette(drawn: dict[str, NDArray[np.uint8]]) -> None:
    def character(picture: NDArray[np.uint8]) -> NDArray[Any]:
        scales = [4 * contrast(picture, period) for period in (1, 2, 4, 8)]
        return np.concatenate([scales, picture.mean(axis=(0, 1)), picture.std(axis=(0, 1))])

    marks = {name: character(drawn[name]) for name in STYLES}
    for i, one in enumerate(STYLES):
        for other in STYLES[i + 1 :]:
            assert np.linalg.norm(marks[one] - marks[other]) > 15, (one, other)


@pytest.mark.parametrize("size", [32, 77, 200])
def test_any_size(size: int) -> None:
    for name in EVERY:
        assert draw(name, size).shape == (size, size, 3)


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"no picture named 'monet'.*night"):
        draw("monet")
    with pytest.raises(ValueError, match="at least 32"):
        draw("night", 8)


def test_photographs_are_colour_and_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("photographs are read from disk")

    monkeypatch.setattr("socket.socket.connect", no_network)
    found = photographs()
    assert {"astronaut", "china", "flower"} <= found.keys()
    for name, photo in found.items():
        assert photo.dtype == np.uint8, name
        assert photo.ndim == 3, name
        assert min(photo.shape[:2]) >= 256, name
        assert np.ptp(photo, axis=2).mean() > 5, f"{name} is grey"


def test_photographs_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.pictures.shipped.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"nst-pipeline\[photos\]"):
        photographs()


def test_public_names() -> None:
    drawn = {"draw", "draw_mask", "photographs", "sheet"}
    assert set(pictures.__all__) == {"CONTENTS", "INK", "MASKS", "PAPER", "STYLES", "Cell", *drawn}
    assert all(hasattr(pictures, name) for name in pictures.__all__)
