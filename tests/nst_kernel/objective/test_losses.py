from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from nst_kernel.encoder import Distance
from nst_kernel.objective import losses
from tests.nst_kernel.support import reference
from tests.nst_kernel.support.reference import array

sizes = st.integers(1, 6)
shapes = st.tuples(st.integers(1, 4), st.integers(1, 5), sizes, sizes)
pictures = st.tuples(st.integers(1, 4), st.just(3), st.integers(2, 6), st.integers(2, 6))
seeds = st.integers(0, 2**32)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def per_position(F: Tensor) -> Tensor:
    return losses.gram(F) / (F.shape[2] * F.shape[3])


@given(shapes, seeds)
def test_gram(shape: tuple[int, ...], seed: int) -> None:
    F = normal(seed, *shape)
    np.testing.assert_allclose(losses.gram(F), [reference.gram(f) for f in array(F)], rtol=1e-12, atol=1e-12)


def content_loss(F: Tensor, P: Tensor, factor: Callable[[Tensor], Tensor] = losses.content_factor) -> Tensor:
    """A content loss of activations, as the objective computes it."""
    M = F.shape[2] * F.shape[3]
    return factor(P) * (M * Distance(P).of(F, M, F.dtype))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (content_loss, reference.content_loss),
        (partial(content_loss, factor=losses.relative_content_factor), reference.relative_content_loss),
        (partial(content_loss, factor=losses.mean_content_factor), reference.mean_content_loss),
    ],
)
@given(shape=shapes, seed=seeds)
def test_content_losses(
    loss: Callable[[Tensor, Tensor], Tensor],
    expected: Callable[[reference.Array, reference.Array], float],
    shape: tuple[int, ...],
    seed: int,
) -> None:
    F, P = normal(seed, 2, *shape)
    np.testing.assert_allclose(loss(F, P), list(map(expected, array(F), array(P))), rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (losses.style_layer_loss, reference.style_layer_loss),
        (losses.relative_style_loss, reference.relative_style_loss),
        (losses.mean_style_loss, reference.mean_style_loss),
    ],
)
@given(shape=shapes, height=sizes, width=sizes, seed=seeds)
def test_style_losses_of_styles_of_any_size(
    loss: Callable[[Tensor, Tensor], Tensor],
    expected: Callable[[reference.Array, reference.Array], float],
    shape: tuple[int, int, int, int],
    height: int,
    width: int,
    seed: int,
) -> None:
    F, S = normal(seed, *shape), normal(seed + 1, *shape[:2], height, width)
    actual = loss(per_position(F), per_position(S))
    np.testing.assert_allclose(actual, list(map(expected, array(F), array(S))), rtol=1e-9)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (losses.total_variation, reference.total_variation),
        (losses.half_sum_variation, reference.half_sum_variation),
        (losses.nine_point_variation, reference.nine_point_variation),
        (losses.out_of_range, reference.out_of_range),
    ],
)
@given(shape=pictures, seed=seeds)
def test_pixel_losses(
    loss: Callable[[Tensor], Tensor],
    expected: Callable[[reference.Array], float],
    shape: tuple[int, ...],
    seed: int,
) -> None:
    x = normal(seed, *shape)
    np.testing.assert_allclose(loss(x), list(map(expected, array(x))), rtol=1e-12)


@given(shape=st.tuples(st.integers(1, 3), st.just(3), st.integers(8, 20), st.integers(8, 20)), seed=seeds)
@pytest.mark.parametrize("pool", [1, 2, 4, 5])
def test_laplacians(shape: tuple[int, ...], pool: int, seed: int) -> None:
    x = normal(seed, *shape)
    for D, picture in zip(losses.laplacian(x, pool), array(x), strict=True):
        assert D.numel() == reference.laplacian(picture, pool).size
        if D.numel():
            np.testing.assert_allclose(D, reference.laplacian(picture, pool), rtol=1e-9, atol=1e-12)
        else:
            assert losses.mean_laplacian_loss(D[None], D[None]).tolist() == [0]


@given(shapes, seeds)
def test_gradient_of_the_content_loss_is_equation_2(shape: tuple[int, ...], seed: int) -> None:
    Z, P = normal(seed, *shape).requires_grad_(), normal(seed + 1, *shape).relu()
    F = Z.relu()
    (gradient,) = torch.autograd.grad(content_loss(F, P).sum(), Z)
    np.testing.assert_allclose(gradient, np.where(array(F) > 0, array(F - P), 0), rtol=1e-12)


@given(shapes, seeds)
def test_gradient_of_the_style_loss_is_equation_6(shape: tuple[int, ...], seed: int) -> None:
    Z, S = normal(seed, *shape).requires_grad_(), normal(seed + 1, *shape).relu()
    F = Z.relu()
    (gradient,) = torch.autograd.grad(losses.style_layer_loss(per_position(F), per_position(S)).sum(), Z)
    _, N, H, W = shape
    for b, f in enumerate(array(F)):
        G, A = reference.gram(f), reference.gram(array(S)[b])
        equation_6 = (f.reshape(N, -1).T @ (G - A)).T / (N**2 * (H * W) ** 2)
        expected = np.where(f > 0, equation_6.reshape(f.shape), 0)
        np.testing.assert_allclose(gradient[b], expected, rtol=1e-9, atol=1e-14)


TWO_ARGUMENTS = {
    "content": content_loss,
    "relative content": partial(content_loss, factor=losses.relative_content_factor),
    "mean content": partial(content_loss, factor=losses.mean_content_factor),
    "style": lambda F, S: losses.style_layer_loss(per_position(F), per_position(S)),
    "relative style": lambda F, S: losses.relative_style_loss(per_position(F), per_position(S)),
    "mean style": lambda F, S: losses.mean_style_loss(per_position(F), per_position(S)),
    "total variation": lambda F, _: losses.total_variation(F),
    "half the sum of variation": lambda F, _: losses.half_sum_variation(F),
    "nine-point variation": lambda F, _: losses.nine_point_variation(F),
    "laplacian": lambda F, T: losses.laplacian_loss(losses.laplacian(F, 1), losses.laplacian(T, 1)),
    "relative laplacian": lambda F, T: losses.relative_laplacian_loss(losses.laplacian(F, 1), losses.laplacian(T, 1)),
    "mean laplacian": lambda F, T: losses.mean_laplacian_loss(losses.laplacian(F, 1), losses.laplacian(T, 1)),
    "out of range": lambda F, _: losses.out_of_range(F),
}
every_loss = pytest.mark.parametrize("loss", TWO_ARGUMENTS.values(), ids=TWO_ARGUMENTS)


@every_loss
def test_gradients_agree_with_finite_differences(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    F, target = normal(0, 2, 3, 4, 5).requires_grad_(), normal(1, 2, 3, 4, 5)
    assert gradcheck(lambda F: loss(F, target), F)


@every_loss
@given(order=st.permutations(range(4)), keep=st.integers(1, 4), seed=seeds)
def test_a_loss_does_not_depend_on_batch_mates(
    loss: Callable[[Tensor, Tensor], Tensor], order: list[int], keep: int, seed: int
) -> None:
    F, target = normal(seed, 2, 4, 3, 4, 5)
    some = order[:keep]
    np.testing.assert_allclose(loss(F[some], target[some]), loss(F, target)[some], rtol=1e-12)


def test_a_target_that_is_zero_and_reached_costs_nothing() -> None:
    nothing = torch.zeros(1, 3, 4, 4)
    assert content_loss(nothing, nothing, losses.relative_content_factor).tolist() == [0]
    assert losses.relative_style_loss(per_position(nothing), per_position(nothing)).tolist() == [0]
