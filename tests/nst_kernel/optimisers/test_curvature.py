"""The initial Hessian that L-BFGS learns: what it must be by algebra, and what it is for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nst_kernel.optimisers.curvature import Curvature
from nst_kernel.optimisers.lbfgs import LBFGS

SHAPES = st.tuples(st.sampled_from([1, 3]), st.integers(8, 21), st.integers(8, 21))


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1, keepdim=True)


def learned(shape: tuple[int, int, int], seed: int, pairs: int = 3) -> tuple[Curvature, dict[str, Tensor], Tensor]:
    """After some pairs of a random positive definite diagonal, of two samples; with the last change of gradient."""
    curvature = Curvature(torch.Size(shape), normal(0, 1))
    D = curvature.shape.numel()
    state = curvature.initial_state(2, normal(0, 1))
    hessian, y = normal(seed, 2, D).exp(), normal(0, 1)
    for k in range(pairs):
        s = normal(seed + 1 + k, 2, D)
        y = hessian * s
        curvature.learn(state, s, y, dot(y, s), torch.tensor([[True], [True]]))
        torch.testing.assert_close(dot(y, curvature.apply(state, y)), dot(y, s), rtol=1e-9, atol=0)
    return curvature, state, y


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 1000))
def test_it_is_symmetric_positive_definite_and_agrees_with_the_last_pair(
    shape: tuple[int, int, int], seed: int
) -> None:
    curvature, state, y = learned(shape, seed)
    u, v = normal(seed + 50, *y.shape), normal(seed + 51, *y.shape)
    torch.testing.assert_close(dot(u, curvature.apply(state, v)), dot(curvature.apply(state, u), v), rtol=1e-9, atol=0)
    assert bool((dot(v, curvature.apply(state, v)) > 0).all())


@given(shape=SHAPES, seed=st.integers(0, 1000))
def test_it_is_the_identity_before_anything_is_known_and_after_it_is_forgotten(
    shape: tuple[int, int, int], seed: int
) -> None:
    curvature, state, y = learned(shape, seed, pairs=1)
    curvature.forget(state, torch.tensor([[False], [True]]))
    applied = curvature.apply(state, y)
    torch.testing.assert_close(applied[1], y[1], rtol=1e-9, atol=1e-12)
    assert not torch.allclose(applied[0], y[0])
    fresh = curvature.initial_state(2, y)
    assert all(torch.equal(state[name][1], fresh[name][1]) for name in fresh)


def test_an_unusable_pair_teaches_nothing() -> None:
    curvature, state, y = learned((3, 8, 8), 0)
    before = {name: tensor.clone() for name, tensor in state.items()}
    curvature.learn(state, -y, y, -dot(y, y), torch.tensor([[False], [False]]))
    assert all(torch.equal(before[name], state[name]) for name in state)


@pytest.mark.parametrize("size", [(16, 16), (15, 22)])
def test_rings_of_frequencies_are_learned(size: tuple[int, int]) -> None:
    """A Hessian that is diagonal in opponent colours and rings is inverted, up to what places smear."""
    curvature = Curvature(torch.Size((3, *size)), normal(0, 1))
    state = curvature.initial_state(1, normal(0, 1))
    stiffness = torch.logspace(-1, 1, 3 * curvature.rings, dtype=torch.float64).view(1, 3, -1)
    hessian = {"place": torch.ones(1, 1, *size, dtype=torch.float64), "ring": stiffness}
    for k in range(30):
        s = normal(k, 1, curvature.shape.numel())
        y = curvature.apply(hessian, s)
        curvature.learn(state, s, y, dot(y, s), torch.tensor([[True]]))
    held = torch.bincount(curvature.ring.flatten(), minlength=curvature.rings) > 0
    product = (state["ring"] * stiffness)[0][:, held]
    assert float(product.max() / product.min()) < 1.5


def test_it_takes_fewer_evaluations_where_frequencies_differ() -> None:
    """A valley that is a thousand times steeper in broad forms than in fine ones, and steeper on the right."""
    shape = torch.Size((3, 32, 32))
    curvature = Curvature(shape, normal(0, 1))
    place = torch.ones(1, 1, 32, 32, dtype=torch.float64)
    place[..., 16:] = 3
    ring = torch.logspace(-1.5, 1.5, curvature.rings, dtype=torch.float64).flip(0).expand(1, 3, -1)
    hessian, goal = {"place": place, "ring": ring.contiguous()}, normal(1, 1, shape.numel())

    def after(steps: int, *, learns: bool) -> float:
        x = torch.zeros(1, *shape, dtype=torch.float64)
        optimizer = LBFGS(
            history=5, learning_rate=torch.ones(1, dtype=x.dtype), first_step=0.005, learns_curvature=learns
        )
        for _ in range(steps):
            g = curvature.apply(hessian, x.flatten(1) - goal)
            x = optimizer.step(x, g.view_as(x), torch.tensor([False]))
        left = x.flatten(1) - goal
        return float(dot(left, curvature.apply(hessian, left)))

    assert after(40, learns=True) < 0.1 * after(40, learns=False)


def test_a_sample_does_not_depend_on_batch_mates() -> None:
    goals = normal(3, 3, 3, 12, 10)
    stiffness = normal(4, 1, 3, 12, 10).exp()

    def path(samples: list[int], restart_at: int = -1) -> Tensor:
        x = torch.zeros(len(samples), 3, 12, 10, dtype=torch.float64)
        optimizer = LBFGS(
            history=4,
            learning_rate=torch.ones(len(samples), dtype=x.dtype),
            first_step=0.005,
            max_step=0.05,
            learns_curvature=True,
        )
        for k in range(15):
            g = stiffness * (x - goals[samples]) ** 3
            x = optimizer.step(x, g, torch.tensor([n == 1 and k == restart_at for n in samples]))
        return x

    together = path([0, 1, 2])
    for n in range(3):
        torch.testing.assert_close(path([n])[0], together[n], rtol=1e-9, atol=1e-12)
    disturbed = path([0, 1, 2], restart_at=7)
    assert torch.equal(disturbed[[0, 2]], together[[0, 2]])
    assert not torch.equal(disturbed[1], together[1])
