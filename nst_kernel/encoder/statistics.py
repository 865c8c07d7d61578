"""Statistics of features, and their way back: Gram matrices."""

import torch
from torch import Tensor


def gram_per_position(F: Tensor, dtype: torch.dtype) -> Tensor:
    """G/M = F Fᵀ/M (eq. 3) of an activation (B, N, H, W): (B, N, N), accumulated and returned in `dtype`."""
    columns = positions(F)
    if F.is_cuda and F.dtype != dtype:
        G = torch.bmm(columns.mT, columns, out_dtype=dtype)
    else:
        columns = columns.to(dtype)
        G = columns.mT @ columns
    return G / columns.shape[1]


def gram_term(F: Tensor, dG: Tensor, M: int, *, plus: Tensor | None = None) -> Tensor:
    """∂L/∂F from the gradient dG (B, N, N) of G/M: (dG + dGᵀ)·F/M, as in eq. 6; added to `plus` if there is one."""
    columns = positions(F)
    symmetric = ((dG + dG.mT) / M).to(F.dtype)
    term = columns @ symmetric if plus is None else positions(plus).baddbmm_(columns, symmetric)
    return term.view(len(F), *F.shape[2:], F.shape[1]).permute(0, 3, 1, 2)


def positions(F: Tensor) -> Tensor:
    """(B, N, H, W) as (B, M, N), which for channels-last is how it lies in memory."""
    return F.permute(0, 2, 3, 1).flatten(1, 2)
