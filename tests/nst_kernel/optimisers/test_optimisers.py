"""L-BFGS and Adam, which treat every sample by itself, against torch's, which know only one problem."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nst_kernel.optimisers.adam import Adam
from nst_kernel.optimisers.lbfgs import LBFGS

Problem = Callable[[Tensor], Tensor]
"""Points (..., D) to values (...)."""


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (1 - x[..., :-1]) ** 2).sum(-1)


def quartic(x: Tensor) -> Tensor:
    """Of condition about 100, and settled within fewer steps than are taken here."""
    stiffness = torch.logspace(0, 2, x.shape[-1], dtype=x.dtype)
    coupling = (x[..., 1:] * x[..., :-1] - 1) ** 2
    return 0.5 * (stiffness * x**2).sum(-1) + coupling.sum(-1) + (x - 0.5).pow(4).sum(-1)


def gentle(x: Tensor) -> Tensor:
    """Of so small a gradient that the first step is not scaled down."""
    return 1e-2 * quartic(x)


def wells(x: Tensor) -> Tensor:
    """Curved downwards around zero, where it starts: steps whose curvature cannot be used."""
    return ((50 * x**2 - 1) ** 2).sum(-1) + 30 * ((x[..., 1:] - x[..., :-1]) ** 2).sum(-1)


START = 0.05 * torch.randn(3, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
RATES = torch.tensor([0.1, 0.07, 0.13], dtype=torch.float64)
STAY = torch.zeros(3, dtype=torch.bool)

Make = Callable[[Tensor], LBFGS | Adam]
each_optimizer = pytest.mark.parametrize(
    "make",
    [lambda rates: LBFGS(history=4, learning_rate=rates), lambda rates: Adam(learning_rate=rates)],
    ids=["lbfgs", "adam"],
)


def gradient(problem: Problem, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (actual,) = torch.autograd.grad(problem(x).sum(), x)
    return actual


def iterates(optimizer: LBFGS | Adam, problem: Problem, x: Tensor, steps: int, restart_at: int = -1) -> Tensor:
    """Where each of (B, D) goes: (steps + 1, B, D). The second sample restarts before the step `restart_at`."""
    path = [x]
    for k in range(steps):
        restart = torch.arange(len(x)) == (1 if k == restart_at else -1)
        path.append(optimizer.step(path[-1], gradient(problem, path[-1]), restart))
    return torch.stack(path)


def torch_lbfgs(problem: Problem, x: Tensor, steps: int, *, rate: float, history: int) -> Tensor:
    x, path = x.clone().requires_grad_(), []
    optimizer = torch.optim.LBFGS(
        [x],
        lr=rate,
        history_size=history,
        max_iter=steps + 1,
        max_eval=2 * steps,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn=None,
    )

    def closure() -> Tensor:
        path.append(x.detach().clone())
        x.grad = gradient(problem, x).contiguous()
        return problem(x.detach()).sum()

    step: Callable[[Callable[[], Tensor]], object] = optimizer.step
    step(closure)
    return torch.stack(path)


@pytest.mark.parametrize("history", [3, 100])
@pytest.mark.parametrize(
    ("problem", "rate"),
    [(rosenbrock, 0.1), (quartic, 0.3), (gentle, 0.3), (wells, 0.1)],
    ids=["rosenbrock", "quartic", "gentle", "wells"],
)
def test_lbfgs_follows_torch(problem: Problem, rate: float, history: int) -> None:
    optimizer = LBFGS(history=history, learning_rate=torch.tensor([rate], dtype=torch.float64))
    actual = iterates(optimizer, problem, START[:1], 50)
    expected = torch_lbfgs(problem, START[:1], 50, rate=rate, history=history)
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def test_lbfgs_of_a_longer_history_goes_another_way() -> None:
    short, long = (torch_lbfgs(rosenbrock, START[:1], 50, rate=0.1, history=m) for m in (3, 100))
    assert (short[-1] - long[-1]).norm() > 1e-3


def test_wells_have_steps_of_unusable_curvature() -> None:
    path = torch_lbfgs(wells, START[:1], 50, rate=0.1, history=100)
    changes = gradient(wells, path).diff(dim=0)
    curvature = (changes * path.diff(dim=0)).sum((1, 2))
    assert 0 < (curvature <= 1e-10).sum() < 25


def test_adam_follows_torch() -> None:
    """Each sample with its own second beta."""
    betas = (0.999, 0.99, 0.5)
    actual = iterates(Adam(learning_rate=RATES, beta2=betas), rosenbrock, START, 50)
    for b, beta in enumerate(betas):
        x = START[b : b + 1].clone().requires_grad_()
        optimizer = torch.optim.Adam([x], lr=RATES[b].item(), betas=(0.9, beta))
        for expected in actual[:, b : b + 1]:
            torch.testing.assert_close(x.detach(), expected, rtol=1e-9, atol=1e-12)
            x.grad = gradient(rosenbrock, x)
            optimizer.step()
    assert torch.equal(iterates(Adam(learning_rate=RATES[:1]), rosenbrock, START[:1], 50), actual[:, :1])


@each_optimizer
def test_a_sample_does_not_depend_on_batch_mates(make: Make) -> None:
    together = iterates(make(RATES), rosenbrock, START, 30)
    for b in range(3):
        alone = iterates(make(RATES[b : b + 1]), rosenbrock, START[b : b + 1], 30)
        torch.testing.assert_close(together[:, b : b + 1], alone, rtol=1e-12, atol=1e-12)


@each_optimizer
def test_a_restart_forgets_all_that_was(make: Make) -> None:
    path = iterates(make(RATES), rosenbrock, START, 30, restart_at=12)
    anew = iterates(make(RATES), rosenbrock, path[12], 18)
    undisturbed = iterates(make(RATES), rosenbrock, START, 30)
    torch.testing.assert_close(path[12:, 1], anew[:, 1], rtol=1e-12, atol=1e-12)
    assert torch.equal(path[:, [0, 2]], undisturbed[:, [0, 2]])
    assert not torch.equal(path[:, 1], undisturbed[:, 1])


@each_optimizer
def test_without_a_gradient_a_sample_stays(make: Make) -> None:
    def flat_in_the_middle(x: Tensor) -> Tensor:
        return rosenbrock(x) * torch.tensor([1.0, 0.0, 1.0])

    path = iterates(make(RATES), flat_in_the_middle, START, 8)
    assert torch.equal(path[:, 1], START[1].expand(9, -1))
    assert bool((path[1:, [0, 2]] != path[:-1, [0, 2]]).any(-1).all())


def test_lbfgs_goes_down_where_its_direction_would_go_up(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = LBFGS(history=4, learning_rate=RATES)
    x = iterates(optimizer, rosenbrock, START, 5)[-1]
    g = gradient(rosenbrock, x)
    monkeypatch.setattr(optimizer, "_direction", lambda g, _: g.clone())
    expected = x - RATES.unsqueeze(1) * g * torch.clamp(1 / g.abs().sum(1, keepdim=True), max=1)
    torch.testing.assert_close(optimizer.step(x, g, STAY), expected, rtol=1e-12, atol=0)


def test_the_first_step_of_lbfgs_has_the_length_asked_for() -> None:
    optimizer = LBFGS(history=4, learning_rate=RATES, first_step=0.005)
    g = gradient(rosenbrock, START) * torch.tensor([[1e-9], [0.0], [1e9]])
    step = optimizer.step(START, g, STAY) - START
    length = step.square().mean(1).sqrt()
    torch.testing.assert_close(length, 0.005 * RATES * torch.tensor([1, 0, 1]), rtol=1e-9, atol=0)
    torch.testing.assert_close(torch.cosine_similarity(step, -g), torch.tensor([1, 0, 1.0], dtype=torch.float64))

    anew = optimizer.step(START, g, ~STAY) - START
    torch.testing.assert_close(anew, step, rtol=1e-12, atol=0)
    g = gradient(rosenbrock, START)
    assert not torch.equal(optimizer.step(START, g, STAY), optimizer.step(START, g, ~STAY))


def test_lbfgs_shortens_a_step_that_is_too_long() -> None:
    free, bounded = LBFGS(history=4, learning_rate=RATES), LBFGS(history=4, learning_rate=RATES, max_step=1e-4)
    g = torch.stack([torch.full((12,), slope, dtype=torch.float64) for slope in (1e-4, 1.0, -1e3)])
    step, shortened = free.step(START, g, STAY) - START, bounded.step(START, g, STAY) - START
    length, actual = (s.square().mean(1).sqrt() for s in (step, shortened))
    torch.testing.assert_close(actual, length.clamp(max=1e-4), rtol=1e-9, atol=0)
    torch.testing.assert_close(shortened / actual.unsqueeze(1), step / length.unsqueeze(1), rtol=1e-9, atol=0)
    assert (length > 1e-4).tolist() == [False, True, True]


def test_lbfgs_survives_gradients_whose_products_overflow() -> None:
    def steep(x: Tensor) -> Tensor:
        return 1e30 * (torch.arange(1, 13) * x.square()).sum(-1)

    optimizer = LBFGS(history=4, learning_rate=torch.ones(3), first_step=0.005)
    path = iterates(optimizer, steep, START.float(), 30)
    assert bool(path.isfinite().all())
    assert bool((steep(path[-1]) < steep(path[0])).all())
