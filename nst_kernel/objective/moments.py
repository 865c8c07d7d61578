"""Style losses of the mean and covariance of features: pure functions, one value per sample, never a batch mean.

S and T are `MOMENTS` of output and style (B, N, N + 1): the Gram matrix per position g = F Fᵀ/M and the mean μ. The
covariance is Σ = g − μμᵀ. A Gram matrix mixes the two: it can be matched by brighter features that vary less.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

RIDGE = 1e-4
"""Variance that is added to every feature before roots are taken, as in crowsonkb/style-transfer-pytorch."""

SPREAD = 1e-3
"""Share of ‖μ_s‖² that is added to ‖Σ_s‖, in squares, where a difference is divided by it."""

FLOORS = {torch.float32: (3e-7, 12), torch.float64: (1e-14, 26)}
"""By type, the least share of the norm that eigenvalues are raised to, above what rounding makes of a zero, and the
steps that its inverse root needs. In fp32 gradients are within 3 % of exact ones on features of photographs; those of
crowsonkb's 12 unscaled steps, whose floor is 1e-4 in effect, within 10 %."""


def moments(S: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean μ (B, N) and the covariance Σ (B, N, N) of raw moments (B, N, N + 1)."""
    mean = S[:, :, -1]
    return mean, S[:, :, :-1] - mean.unsqueeze(2) * mean.unsqueeze(1)


def covariance_loss(S: Tensor, T: Tensor) -> Tensor:
    """Return a quarter of the mean squares of the differences of Σ and of μ, per sample (B,), as eq. 4 has it of G."""
    N = S.shape[1]
    of_means, of_covariances = _differences(S, T)
    return of_covariances / (4 * N**2) + of_means / (4 * N)


def relative_covariance_loss(S: Tensor, T: Tensor) -> Tensor:
    """Return ‖Σ − Σ_s‖²/‖Σ_s‖² + ‖μ − μ_s‖²/‖μ_s‖², per sample (B,).

    For a flat style, whose Σ_s is 0, ‖Σ_s‖ counts as `SPREAD` of ‖μ_s‖².
    """
    mean, covariance = moments(T)
    of_means, of_covariances = _differences(S, T)
    square = mean.square().sum(1) + torch.finfo(T.dtype).tiny
    return of_covariances / (covariance.square().sum((1, 2)) + (SPREAD * square).square()) + of_means / square


def mean_covariance_loss(S: Tensor, T: Tensor) -> Tensor:
    """Return the mean squares of the differences of Σ/N and of μ/N, per sample (B,), as `mean_style_loss` of G/N."""
    N = S.shape[1]
    of_means, of_covariances = _differences(S, T)
    return of_covariances / N**4 + of_means / N**3


def rooted(T: Tensor) -> Tensor:
    """Return the moments of a style as the losses of w2 take them: the root of Σ_s + εI in the place of g.

    It is computed once per style, from eigenvalues in float64.
    """
    mean, covariance = moments(T.double())
    values, vectors = torch.linalg.eigh(covariance)
    roots = (values.clamp_min(0) + RIDGE).sqrt()
    return torch.cat([(vectors * roots.unsqueeze(1)) @ vectors.mT, mean.unsqueeze(2)], dim=2).to(T.dtype)


def w2_loss(S: Tensor, T: Tensor) -> Tensor:
    """Return the squared 2-Wasserstein distance between normal distributions with these moments, per sample (B,).

    ‖μ − μ_s‖² + tr(Σ + Σ_s − 2 (Σ_s^½ Σ Σ_s^½)^½) (Givens and Shortt, 1984), with Σ + εI for each Σ.

    Args:
        S: raw moments of the output (B, N, N + 1).
        T: moments of the style, `rooted`.
    """
    mean, covariance = moments(S)
    spread: Any = _Spread.apply
    distance: Tensor = spread(covariance, T[:, :, :-1])
    return (mean - T[:, :, -1]).square().sum(1) + distance


def relative_w2_loss(S: Tensor, T: Tensor) -> Tensor:
    """Return `w2_loss` over that from nothing to the style, ‖μ_s‖² + tr Σ_s, per sample (B,)."""
    return w2_loss(S, T) / T.square().sum((1, 2))  # the squares of a symmetric root add up to the trace


def mean_w2_loss(S: Tensor, T: Tensor) -> Tensor:
    """Return `w2_loss` over the number of features, per sample (B,), as crowsonkb/style-transfer-pytorch has it."""
    return w2_loss(S, T) / S.shape[1]


class _Spread(torch.autograd.Function):
    """tr(Σ + Σ_s − 2 (Σ_s^½ Σ Σ_s^½)^½), from Σ and the root of Σ_s, with its gradient in closed form.

    The gradient is I − Σ_s^½ (Σ_s^½ Σ Σ_s^½)^−½ Σ_s^½. Both need the inverse root alone, since A^½ = A·A^−½.
    """

    @staticmethod
    def forward(ctx: Any, covariance: Tensor, root: Tensor) -> Tensor:
        """Return the distance (B,); both arguments are (B, N, N)."""
        eye = torch.eye(root.shape[-1], dtype=root.dtype, device=root.device)
        covariance = covariance + RIDGE * eye
        A = root @ covariance @ root
        inverse = _inverse_root(A)
        ctx.save_for_backward(eye - root @ inverse @ root)
        traces = covariance.diagonal(dim1=1, dim2=2).sum(1) + root.square().sum((1, 2))
        return traces - 2 * (A * inverse).sum((1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of Σ (B, N, N)."""
        (of_covariance,) = ctx.saved_tensors
        return gradients[0][:, None, None] * of_covariance, None


def _inverse_root(A: Tensor) -> Tensor:
    """Return A^−½ of symmetric matrices A (B, N, N) whose eigenvalues are not negative; those near 0 are raised.

    The coupled Newton–Schulz iteration (Higham, *Functions of Matrices*, eq. 6.35): products of matrices alone, which
    nothing waits for. Each step is scaled such that the least eigenvalue grows by up to 6.75 instead of 2.25 (Chen and
    Chow, *A stable scaling of Newton-Schulz*, 2014).
    """
    floor, steps = FLOORS[A.dtype]
    norm: Tensor = torch.linalg.matrix_norm(A, keepdim=True)
    eye = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    Y, Z, least = A / norm + floor * eye, eye, math.sqrt(floor)
    for step in range(steps):
        scale = math.sqrt(3 / (1 + least + least**2))
        least = 0.5 * scale * least * (3 - (scale * least) ** 2)
        T = 0.5 * scale * (3 * eye - scale**2 * (Z @ Y if step else Y))
        Y, Z = Y @ T if step < steps - 1 else Y, T @ Z if step else T
    return Z / norm.sqrt()


def _differences(S: Tensor, T: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums of squares of the differences of means and of covariances, each (B,)."""
    (mean, covariance), (mean_s, covariance_s) = moments(S), moments(T)
    return (mean - mean_s).square().sum(1), (covariance - covariance_s).square().sum((1, 2))
