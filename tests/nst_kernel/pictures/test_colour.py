"""Colours against NumPy in float64: matrices by way of singular values of pixels, not of eigenvalues of covariances."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from nst_kernel.pictures import grey, is_grey, light_matched, matched, moments, recoloured
from tests.support import pixels

Array = NDArray[np.float64]
YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
"""Rows Y, I and Q; those of I and Q sum to zero."""

seeds = st.integers(0, 2**32 - 1)


def columns(x: Tensor) -> Array:
    return x.double().numpy().reshape(3, -1)


def soft(seed: int, height: int, width: int) -> Tensor:
    """A picture whose colours are so near to grey that nothing that gets them is clipped."""
    return 0.5 + 0.15 * (pixels(seed, height, width) - 0.5)


def change(before: Tensor, after: Tensor) -> Array:
    """The matrix A that has taken deviations from the mean of one picture to those of the other."""
    x, y = (columns(p) - columns(p).mean(1, keepdims=True) for p in (before, after))
    solution: Array = np.linalg.lstsq(x.T, y.T, rcond=None)[0].T
    np.testing.assert_allclose(solution @ x, y, atol=1e-9)
    return solution


def root(x: Tensor) -> Array:
    """The symmetric root of the covariance of a picture."""
    deviations = columns(x) - columns(x).mean(1, keepdims=True)
    U, S, _ = np.linalg.svd(deviations, full_matrices=False)
    half: Array = U @ np.diag(S / deviations.shape[1] ** 0.5) @ U.T
    return half


@pytest.mark.parametrize("transport", [False, True])
@given(seeds)
def test_a_matched_picture_has_the_mean_and_covariance_of_the_other(transport: bool, seed: int) -> None:
    x, other = pixels(seed, 12, 16), soft(seed + 1, 10, 9)
    result = matched(x, moments([x]), moments([other]), transport=transport)
    assert 0 < result.min() < result.max() < 1
    np.testing.assert_allclose(columns(result).mean(1), columns(other).mean(1), atol=1e-9)
    np.testing.assert_allclose(np.cov(columns(result), bias=True), np.cov(columns(other), bias=True), atol=1e-9)
    A = change(x, result)
    if transport:  # the only symmetric positive one with these moments
        np.testing.assert_allclose(A, A.T, atol=1e-7)
        assert np.linalg.eigvalsh(A).min() > 0
    else:
        np.testing.assert_allclose(A, root(other) @ np.linalg.inv(root(x)), atol=1e-6)


@pytest.mark.parametrize("transport", [False, True])
def test_pictures_of_few_colours_are_matched_without_dividing_by_nothing(transport: bool) -> None:
    colour, flat = pixels(0, 16, 16), torch.full((3, 16, 16), 0.3)
    for x, other in ((colour, grey(pixels(1, 8, 8))), (grey(colour), pixels(1, 8, 8)), (colour, flat), (flat, colour)):
        result = matched(x, moments([x]), moments([other]), transport=transport)
        assert result.isfinite().all()
        assert is_grey(result) or not is_grey(other)
    assert light_matched(flat, colour).isfinite().all()


@given(seeds, st.floats(0.1, 5))
def test_moments_of_several_pictures_are_those_of_all_pixels_by_weight(seed: int, weight: float) -> None:
    pictures = [pixels(seed, 6, 8), pixels(seed + 1, 9, 5)]
    counts = np.repeat([1 / 48, weight / 45], [48, 45])
    together = np.concatenate([columns(p) for p in pictures], axis=1)
    mean, covariance = moments(pictures, (2.0, 2.0 * weight))
    np.testing.assert_allclose(mean, np.average(together, axis=1, weights=counts), atol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(together, aweights=counts, bias=True), atol=1e-12)


@given(seeds)
def test_light_is_matched_in_mean_and_deviation(seed: int) -> None:
    x, other = pixels(seed, 12, 16), soft(seed + 1, 10, 9)
    result = columns(light_matched(x, other))
    Y, to = YIQ[0] @ columns(x), YIQ[0] @ columns(other)
    expected = to.std() / Y.std() * (Y - Y.mean()) + to.mean()
    np.testing.assert_allclose(result, np.tile(expected, (3, 1)), atol=1e-9)


@given(seeds)
def test_a_recoloured_picture_has_the_light_of_one_and_the_colours_of_the_other(seed: int) -> None:
    x, colours = pixels(seed, 12, 16), pixels(seed + 1, 12, 16)
    result = recoloured(x, colours)
    assert 0 <= result.min() <= result.max() <= 1
    inside = ((result > 0) & (result < 1)).all(0).flatten().numpy()
    assert inside.any()
    light, hue = YIQ[:1] @ columns(x), YIQ[1:] @ columns(colours)
    np.testing.assert_allclose((YIQ @ columns(result))[:, inside], np.vstack([light, hue])[:, inside], atol=1e-3)


@given(seeds, st.integers(0, 3))
def test_a_grey_picture_may_differ_by_rounding_alone(seed: int, by: int) -> None:
    levels = np.random.default_rng(seed).integers(3, 250, (1, 8, 9)).repeat(3, 0)
    levels[seed % 3, seed % 8, seed % 9] += by
    assert is_grey(torch.from_numpy(levels).float() / 255) is (by <= 1)
