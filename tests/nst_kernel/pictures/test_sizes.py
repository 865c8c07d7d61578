import math
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nst_kernel.pictures.sizes import MIN_SIDE, fit, fit_style

sides = st.integers(MIN_SIDE, 20_000)
tolerances = st.floats(0, 0.5)


def not_too_narrow(height: int, width: int, size: int, *, upscale: bool = False) -> None:
    """Leave out pictures that `fit` refuses."""
    long = size if upscale else min(size, max(height, width))
    assume(min(height, width) * long >= MIN_SIDE * max(height, width))


@given(sides, sides, sides)
def test_the_long_side_is_as_asked_within_the_source(height: int, width: int, size: int) -> None:
    not_too_narrow(height, width, size)
    h, w = fit(height, width, size=size)
    assert max(h, w) == min(size, max(height, width))
    assert MIN_SIDE <= h <= height
    assert MIN_SIDE <= w <= width


@given(sides, sides, sides)
def test_upscaling_reaches_the_size_asked_for(height: int, width: int, size: int) -> None:
    not_too_narrow(height, width, size, upscale=True)
    assert max(fit(height, width, size=size, upscale=True)) == size


@given(sides, sides, sides, st.booleans())
def test_the_aspect_is_kept_to_half_a_pixel(height: int, width: int, size: int, upscale: bool) -> None:
    not_too_narrow(height, width, size, upscale=upscale)
    h, w = fit(height, width, size=size, upscale=upscale)
    ratio = max(h, w) / max(height, width)
    for found, source in ((h, height), (w, width)):
        assert abs(found - source * ratio) <= 0.5 + 1e-9


@given(sides, sides, sides, st.booleans())
def test_a_picture_that_fits_stays(height: int, width: int, size: int, upscale: bool) -> None:
    not_too_narrow(height, width, size, upscale=upscale)
    h, w = fit(height, width, size=size, upscale=upscale)
    assert fit(h, w, size=size, upscale=upscale) == (h, w)


@given(st.integers(1, 100), st.integers(1, 100), sides, st.sampled_from([0.0, 0.01, 0.5]))
def test_a_tiny_picture_grows_to_what_the_encoder_needs(height: int, width: int, size: int, tolerance: float) -> None:
    assume(MIN_SIDE * max(height, width) <= size * min(height, width))
    h, w = fit(height, width, size=size, aspect_tolerance=tolerance)
    assert min(h, w) >= MIN_SIDE
    if not tolerance:
        assert max(h, w) / min(h, w) == pytest.approx(max(height, width) / min(height, width), rel=1 / MIN_SIDE)


@given(sides, sides, sides, st.booleans(), st.sampled_from([0.0, 0.01]))
def test_what_is_too_narrow_is_refused_rather_than_squeezed(
    height: int, width: int, size: int, upscale: bool, tolerance: float
) -> None:
    """A panorama of 40 : 1 would otherwise become one of 16 : 1."""
    try:
        h, w = fit(height, width, size=size, upscale=upscale, aspect_tolerance=tolerance)
    except ValueError as error:
        needed = int(str(error).split("set size to ")[1].split()[0])
        assert needed > size
        fit(height, width, size=needed, upscale=upscale, aspect_tolerance=tolerance)
    else:
        assert max(h, w) / min(h, w) == pytest.approx(max(height, width) / min(height, width), rel=0.08)


@given(sides, sides, sides, st.booleans())
def test_a_narrow_style_keeps_its_shape(height: int, width: int, size: int, upscale: bool) -> None:
    h, w = fit_style(height, width, size=size, upscale=upscale)
    assert max(h, w) / min(h, w) == pytest.approx(max(height, width) / min(height, width), rel=0.08)
    assert max(h, w) <= max(size, math.ceil(MIN_SIDE * max(height, width) / min(height, width)))


def test_the_size_that_a_panorama_needs_is_named() -> None:
    with pytest.raises(ValueError, match=r"6000 x 150 pixels .* 6\.4 .* size to 640"):
        fit(150, 6000, size=256)
    assert fit(150, 6000, size=640) == (16, 640)


@given(sides, sides, sides, st.booleans(), tolerances)
def test_snapping_moves_an_aspect_by_no_more_than_is_tolerated(
    height: int, width: int, size: int, upscale: bool, tolerance: float
) -> None:
    not_too_narrow(height, width, size, upscale=upscale)
    h, w = fit(height, width, size=size, upscale=upscale, aspect_tolerance=tolerance)
    assert (h <= w) if height <= width else (h >= w)
    ratio = max(h, w) / max(height, width)
    for found, source in ((h, height), (w, width)):
        exact = source * ratio
        assert abs(found - exact) <= max(0.5, tolerance * exact) + 1e-6 or found == MIN_SIDE > exact


@given(sides, sides, sides, tolerances)
def test_snapping_enlarges_no_long_side_and_takes_little_of_it(
    height: int, width: int, size: int, tolerance: float
) -> None:
    not_too_narrow(height, width, size)
    long, source = max(fit(height, width, size=size, aspect_tolerance=tolerance)), max(height, width)
    if source >= size:
        assert long == size
    else:
        assert max(MIN_SIDE, source - 2 * tolerance * source) <= long <= source


@given(sides, sides, st.floats(0.004, 0.1))
def test_a_turned_picture_gets_the_turned_shape(height: int, width: int, tolerance: float) -> None:
    not_too_narrow(height, width, 512)
    h, w = fit(height, width, size=512, aspect_tolerance=tolerance)
    assert fit(width, height, size=512, aspect_tolerance=tolerance) == (w, h)


def test_a_square_stays_square_whatever_the_size() -> None:
    assert all(fit(600, 600, size=n, aspect_tolerance=0.01) == (n, n) for n in range(16, 601))
    assert fit(597, 600, size=500, aspect_tolerance=0.01) == (500, 500)


def test_thousands_of_aspects_fall_into_few_shapes() -> None:
    rng = random.Random(0)
    aspects = [rng.uniform(1, 3) for _ in range(5000)]
    sources = [(2000, round(2000 * aspect))[:: rng.choice((1, -1))] for aspect in aspects]
    snapped = {fit(h, w, size=512, aspect_tolerance=0.01) for h, w in sources}
    assert len({fit(h, w, size=512) for h, w in sources}) > 650
    # Neighbouring short sides are a step apart, which is more than the tolerated share of them: from a third of the
    # long side to all of it there are at most ln 3 / tolerance, and as many for pictures on end.
    assert len(snapped) <= 2 * math.log(3) / 0.01
    assert len(snapped) == 159
