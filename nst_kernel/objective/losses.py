"""The paper's losses: pure functions, one value per sample, never a mean over the batch.

F is an activation (B, N, H, W): N filters, M = H·W positions. Section and equation numbers are those of Gatys,
Ecker and Bethge, arXiv 1508.06576, section Methods.
"""

import torch
import torch.nn.functional as nnf
from torch import Tensor


def gram(F: Tensor) -> Tensor:
    """Return the Gram matrix G = F Fᵀ (eq. 3) of activations (B, N, H, W): (B, N, N), sums over positions."""
    F = F.flatten(2)
    return F @ F.mT


def content_factor(P: Tensor) -> Tensor:
    """Return what Σ (F − P)² is multiplied by in eq. 1, ½ Σ (F − P)², per sample (B,).

    F and P are activations (B, N, H, W) of output and content.
    """
    return torch.full_like(P[:, 0, 0, 0], 0.5)


def style_layer_loss(G: Tensor, A: Tensor) -> Tensor:
    """Return eq. 4, E_l = 1/(4N²M²) Σ (G − A)², per sample (B,).

    G and A are Gram matrices (B, N, N) **per position**, each divided by its own picture's M: with equal sizes this
    is the paper's E_l, and styles of other sizes can be compared with the output.
    """
    N = G.shape[-1]
    return _sum_of_squares(G - A) / (4 * N**2)


def relative_content_factor(P: Tensor) -> Tensor:
    """Return what Σ (F − P)² is multiplied by in ½ Σ (F − P)² over Σ P², per sample (B,).

    That is eq. 1 as a share of the target, so that size does not matter.
    """
    return 0.5 / (_sum_of_squares(P) + torch.finfo(P.dtype).tiny)


def relative_style_loss(G: Tensor, A: Tensor) -> Tensor:
    """Return Σ (G − A)² over Σ A², per sample (B,): eq. 4 as a share of the target; G and A per position."""
    return _sum_of_squares(G - A) / (_sum_of_squares(A) + torch.finfo(A.dtype).tiny)


def mean_content_factor(P: Tensor) -> Tensor:
    """Return what Σ (F − P)² is multiplied by in its mean over filters and positions, per sample (B,).

    That is the content loss of neural-style and others.
    """
    return torch.full_like(P[:, 0, 0, 0], 1 / P[0].numel())


def mean_style_loss(G: Tensor, A: Tensor) -> Tensor:
    """Return the mean of (G/N − A/N)² over the entries of Gram matrices per position, per sample (B,).

    With sums over M positions G M and A M_s it is the mean of (G M/(N·M) − A M_s/(N·M_s))², as neural-style and others
    have it, and N⁻² times the mean of (G − A)², as Gatys' notebook has it.
    """
    return _sum_of_squares(G - A) / G.shape[-1] ** 4


def total_variation(x: Tensor) -> Tensor:
    """Return the mean squared difference of neighbouring pixels (B, 3, H, W), along both axes, per sample (B,)."""
    across = (x[..., :, 1:] - x[..., :, :-1]).square().flatten(1).mean(1)
    down = (x[..., 1:, :] - x[..., :-1, :]).square().flatten(1).mean(1)
    return across + down


def half_sum_variation(x: Tensor) -> Tensor:
    """Return half the sum of squared differences of each pixel to that at its right and to that below, (B,).

    The last row and column of pixels (B, 3, H, W) are only compared with: neural-style's total variation, which that
    program has in the gradient alone, for pixels in [0, 1]. For values up to 255 it is 255² times as much.
    """
    here, right, below = x[..., :-1, :-1], x[..., :-1, 1:], x[..., 1:, :-1]
    return 0.5 * (_sum_of_squares(right - here) + _sum_of_squares(below - here))


def nine_point_variation(x: Tensor) -> Tensor:
    """Return the mean squared difference of pixels (B, 3, H, W) to their eight neighbours, per sample (B,).

    Differences along axes weigh 2/3, diagonal ones 2/12, as in crowsonkb/style-transfer-pytorch, where a pixel beyond
    the border repeats the nearest one: a diagonal across the border is then a difference along it.
    """
    across, down = x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]
    straight = _sum_of_squares(across) + _sum_of_squares(down)
    falling = _sum_of_squares(x[..., 1:, 1:] - x[..., :-1, :-1])
    rising = _sum_of_squares(x[..., 1:, :-1] - x[..., :-1, 1:])
    border = _sum_of_squares(across[..., :: max(1, x.shape[-2] - 1), :])
    border = border + _sum_of_squares(down[..., :: max(1, x.shape[-1] - 1)])
    C, H, W = x.shape[1:]
    return straight / (1.5 * C * H * W) + (falling + rising + 2 * border) / (6 * C * (H + 1) * (W + 1))


def laplacian(x: Tensor, pool: int) -> Tensor:
    """Return D (B, h, w), 4 times each value minus those of its four neighbours, of pixels (B, 3, H, W).

    They are averaged over squares of `pool` pixels before, and colours are added up; positions at the border have no
    value, so that D is empty where less than 3 x 3 squares fit in (lap_style.lua of Li et al., ACM MM 2017).
    """
    y = nnf.avg_pool2d(x.sum(1, keepdim=True), pool)[:, 0]
    within = y[:, 1:-1, 1:-1]
    return 4 * within - y[:, :-2, 1:-1] - y[:, 2:, 1:-1] - y[:, 1:-1, :-2] - y[:, 1:-1, 2:]


def laplacian_loss(D: Tensor, T: Tensor) -> Tensor:
    """Return Σ (D − T)², per sample (B,), of Laplacians of output and content."""
    return _sum_of_squares(D - T)


def relative_laplacian_loss(D: Tensor, T: Tensor) -> Tensor:
    """Return Σ (D − T)² over Σ T², per sample (B,)."""
    return _sum_of_squares(D - T) / (_sum_of_squares(T) + torch.finfo(T.dtype).tiny)


def mean_laplacian_loss(D: Tensor, T: Tensor) -> Tensor:
    """Return the mean of (D − T)², per sample (B,)."""
    return _sum_of_squares(D - T) / max(1, D[0].numel())


def wrapped_variation(x: Tensor) -> Tensor:
    """Return `total_variation` of pixels (B, 3, H, W) that go on at their other side."""
    return (_sum_of_squares(_to(x, 0, 1)) + _sum_of_squares(_to(x, 1, 0))) / x[0].numel()


def wrapped_half_sum_variation(x: Tensor) -> Tensor:
    """Return `half_sum_variation` of pixels (B, 3, H, W) that go on at their other side."""
    return 0.5 * (_sum_of_squares(_to(x, 0, 1)) + _sum_of_squares(_to(x, 1, 0)))


def wrapped_nine_point_variation(x: Tensor) -> Tensor:
    """Return `nine_point_variation` of pixels (B, 3, H, W) that go on at their other side: every pixel has eight."""
    straight = _sum_of_squares(_to(x, 0, 1)) + _sum_of_squares(_to(x, 1, 0))
    diagonal = _sum_of_squares(_to(x, 1, 1)) + _sum_of_squares(_to(x, 1, -1))
    return (straight / 1.5 + diagonal / 6) / x[0].numel()


def _to(x: Tensor, down: int, right: int) -> Tensor:
    """Return the differences of pixels to those so far down and to the right, around the picture."""
    return x.roll((-down, -right), (2, 3)) - x


def out_of_range(x: Tensor) -> Tensor:
    """Return the mean squared distance of pixels (B, 3, H, W) from [0, 1], per sample (B,)."""
    return (x - x.clamp(0, 1)).square().flatten(1).mean(1)


def _sum_of_squares(a: Tensor) -> Tensor:
    """Return the sum of squares of each sample, (B,), of a (B, ...) in any order in memory."""
    return a.square().sum(tuple(range(1, a.dim())))
