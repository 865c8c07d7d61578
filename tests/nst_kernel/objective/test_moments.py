"""Losses of means and covariances, against eigenvalues and finite differences, and where covariances have low rank."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from nst_kernel import Pair, Style, StyleParams, stylize_batch
from nst_kernel.cost import Saving
from nst_kernel.encoder import MOMENTS
from nst_kernel.objective import moments
from nst_kernel.objective.targets import targets_of
from tests.nst_kernel.support import reference
from tests.nst_kernel.support.reference import array
from tests.support import encoder, pixels

FORMS = {
    "covariance": (moments.covariance_loss, reference.covariance_loss),
    "relative covariance": (moments.relative_covariance_loss, reference.relative_covariance_loss),
    "mean covariance": (moments.mean_covariance_loss, reference.mean_covariance_loss),
    "w2": (moments.w2_loss, reference.w2_loss),
    "relative w2": (moments.relative_w2_loss, reference.relative_w2_loss),
    "mean w2": (moments.mean_w2_loss, reference.mean_w2_loss),
}


def features(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """After a ReLU, with means and spreads of their own."""
    generator = torch.Generator().manual_seed(seed)
    spread = 0.2 + torch.rand(shape[1], 1, 1, generator=generator, dtype=dtype)
    return (spread * (0.5 + torch.randn(shape, generator=generator, dtype=dtype))).relu() + 0.01


def statistic(F: Tensor) -> Tensor:
    return MOMENTS.of(F, F[0, 0].numel(), F.dtype)


def target(form: str, F: Tensor) -> Tensor:
    return moments.rooted(statistic(F)) if "w2" in form else statistic(F)


@pytest.mark.parametrize("form", FORMS)
@given(seed=st.integers(0, 2**32), n=st.integers(2, 6), height=st.integers(1, 6), width=st.integers(1, 6))
def test_losses_of_moments(form: str, seed: int, n: int, height: int, width: int) -> None:
    """Of any rank: there may be fewer positions than features."""
    loss, expected = FORMS[form]
    F, S = features(seed, 3, n, 5, 4), features(seed + 1, 3, n, height, width)
    values = [expected(f, s) for f, s in zip(array(F), array(S), strict=True)]
    np.testing.assert_allclose(loss(statistic(F), target(form, S)), values, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_finite_differences(form: str) -> None:
    F, S = features(0, 2, 3, 3, 4).requires_grad_(), target(form, features(1, 2, 3, 4, 3))
    assert gradcheck(lambda F: FORMS[form][0](statistic(F), S), (F,))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("positions", [(1, 1), (2, 3), (9, 9)])
def test_at_the_target_there_is_no_loss_and_no_way_down(form: str, positions: tuple[int, int]) -> None:
    """Whatever the order of the positions."""
    S = features(0, 2, 16, *positions)
    F = S.flip(2, 3).requires_grad_()
    loss = FORMS[form][0](statistic(F), target(form, S))
    (gradient,) = torch.autograd.grad(loss.sum(), F)
    scale = FORMS[form][0](statistic(2 * S), target(form, S))
    assert bool((loss.abs() <= 1e-6 * scale).all())
    assert gradient.abs().max() <= 1e-5 * scale.max() / S.mean()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shapes", [((1, 1), (1, 1)), ((1, 64), (4, 4)), ((4, 4), (64, 1))])
def test_covariances_of_low_rank_are_finite(
    form: str, shapes: tuple[tuple[int, int], tuple[int, int]], dtype: torch.dtype
) -> None:
    F, S = (features(n, 2, 64, *shape, dtype=dtype) for n, shape in enumerate(shapes))
    for x in (F, torch.zeros_like(F), F[:, :1].expand_as(F).contiguous()):
        x.requires_grad_()
        loss = FORMS[form][0](statistic(x), target(form, S))
        (gradient,) = torch.autograd.grad(loss.sum(), x)
        assert bool(loss.isfinite().all() and gradient.isfinite().all())


def test_in_fp32_roots_of_covariances_whose_eigenvalues_spread_wide_are_near_enough() -> None:
    """Spreads fall over three powers of ten, so that products of covariances are of condition 1e12 without a ridge."""
    turn = torch.linalg.qr(torch.randn(48, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    falling = torch.logspace(1, -2, 48, dtype=torch.float64)[:, None, None]
    F, S = (
        torch.einsum("ij,bjhw->bihw", turn, falling * torch.randn(2, 48, 20, 20, generator=g, dtype=torch.float64))
        for g in map(torch.Generator().manual_seed, (1, 2))
    )
    S = 1.5 * S
    results = []
    for dtype in (torch.float32, torch.float64):
        x = F.to(dtype).requires_grad_()
        loss = moments.w2_loss(statistic(x), target("w2", S.to(dtype)))
        results.append((loss.detach().double(), torch.autograd.grad(loss.sum(), x)[0].double()))
    (loss, gradient), (expected, exact) = results
    torch.testing.assert_close(loss, expected, rtol=0.01, atol=0)
    assert (gradient - exact).norm() < 0.06 * exact.norm()


def test_a_blend_of_styles_has_the_spread_between_them() -> None:
    """As the positions of both together have: raw moments are averaged, not covariances."""
    black, white = torch.zeros(3, 16, 16, dtype=torch.float64), torch.ones(3, 16, 16, dtype=torch.float64)
    params = StyleParams.of({"style_layers": "conv1_1", "preset": "texture", "statistics": "covariance"})
    vgg = encoder("conv1_1", torch.float64)
    blended = targets_of([Pair(None, (Style(black, weight=3), Style(white)), params)], vgg).style["conv1_1"]
    first, second = (vgg(picture.unsqueeze(0), ["conv1_1"])["conv1_1"][0, :, 8, 8] for picture in (black, white))
    both = torch.stack([first, first, first, second], 1)[:, :, None]
    mean, covariance = reference.moments(array(both))
    for actual, expected in zip(moments.moments(blended), (mean, covariance), strict=True):
        np.testing.assert_allclose(actual[0], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("statistics", ["covariance", "w2"])
@pytest.mark.parametrize("saving", ["nothing", "checkpoint"])
def test_a_texture_comes_nearer_to_its_style(statistics: str, saving: Saving) -> None:
    shared: dict[str, Any] = {"preset": "texture", "style_layers": "conv1_1, conv2_1", "precision": "fp32"}
    params = StyleParams.of({**shared, "statistics": statistics, "objective": "relative", "iterations": 12})
    (result,) = stylize_batch([Pair.of(None, pixels(0, 24, 32), params)], encoder("conv2_1", narrower=8), saving=saving)
    assert not result.diverged
    assert result.losses["style"] < 0.3 * result.curve["style"][0]
