from hypothesis import given
from hypothesis import strategies as st

from nst_kernel.sizes import MIN_SIDE, fit

sides = st.integers(MIN_SIDE, 20_000)


@given(sides, sides, sides)
def test_the_long_side_is_as_asked_within_the_source(height: int, width: int, size: int) -> None:
    h, w = fit(height, width, size=size)
    assert max(h, w) == min(size, max(height, width))
    assert MIN_SIDE <= h <= height
    assert MIN_SIDE <= w <= width


@given(sides, sides, sides)
def test_upscaling_reaches_the_size_asked_for(height: int, width: int, size: int) -> None:
    assert max(fit(height, width, size=size, upscale=True)) == size


@given(sides, sides, sides, st.booleans())
def test_the_aspect_is_kept_to_half_a_pixel(height: int, width: int, size: int, upscale: bool) -> None:
    h, w = fit(height, width, size=size, upscale=upscale)
    ratio = max(h, w) / max(height, width)
    for found, source in ((h, height), (w, width)):
        assert abs(found - source * ratio) <= 0.5 + 1e-9 or found == MIN_SIDE > source * ratio


@given(sides, sides, sides, st.booleans())
def test_a_picture_that_fits_stays(height: int, width: int, size: int, upscale: bool) -> None:
    h, w = fit(height, width, size=size, upscale=upscale)
    assert fit(h, w, size=size, upscale=upscale) == (h, w)


@given(st.integers(1, 100), st.integers(1, 100), sides)
def test_a_tiny_picture_grows_to_what_the_encoder_needs(height: int, width: int, size: int) -> None:
    assert min(fit(height, width, size=size)) >= MIN_SIDE
