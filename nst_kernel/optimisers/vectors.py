"""What L-BFGS does with whole pictures, as vectors (B, D): by kernels of their own on a GPU, by torch elsewhere."""

import math

import torch
from torch import Tensor

from nst_kernel import gpu


def products(V: Tensor, *vectors: Tensor) -> Tensor:
    """Return the inner products (B, m, R) of the rows of V (B, m, D) with R vectors (B, D), one or two."""
    if gpu.serves(V):
        return gpu.products(V, *vectors)
    together = torch.stack(vectors, dim=1).mT if len(vectors) > 1 else vectors[0].unsqueeze(2)
    return torch.bmm(V, together)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner products of rows, (B, 1)."""
    if gpu.serves(a):
        return gpu.products(a.unsqueeze(1), b)[:, :, 0]
    return (a * b).sum(1, keepdim=True)


def rms(a: Tensor) -> Tensor:
    """Return the root mean square of each row, (B, 1); computed in float64, since squares may overflow."""
    if gpu.serves(a):
        return gpu.squares(a).div(a.shape[1]).sqrt().to(a.dtype)
    norm: Tensor = torch.linalg.vector_norm(a, dim=1, keepdim=True, dtype=torch.float64)
    return norm.div(math.sqrt(a.shape[1])).to(a.dtype)


def change_of(gradient: Tensor, unit: Tensor, before: Tensor) -> Tensor:
    """Return `gradient` · `unit` less `before`, and put `gradient` · `unit` in the place of `before`.

    Args:
        gradient: vectors (B, D).
        unit: factors (B, 1).
        before: vectors (B, D), written over.
    """
    if gpu.serves(before):
        return gpu.change_of(gradient, unit, before)
    now = gradient * unit
    change = now - before
    before.copy_(now)
    return change


def put(vectors: Tensor, into: Tensor, slot: Tensor, chosen: Tensor) -> None:
    """Put the vectors (B, D) of the samples that are chosen (B, 1) into a slot (B, 1) each of `into` (B, m, D)."""
    if gpu.serves(into):
        gpu.put(vectors, into, slot, chosen)
        return
    rows, at = torch.arange(len(into), device=into.device), slot[:, 0]
    into[rows, at] = torch.where(chosen, vectors, into[rows, at])


def combined(coefficients: Tensor, vectors: Tensor, plus: Tensor, sign: int) -> Tensor:
    """Return Σ_j c_j·v_j ± plus (B, D), for coefficients (B, m) and vectors (B, m, D).

    Args:
        coefficients: c.
        vectors: v.
        plus: (B, D).
        sign: of `plus`, 1 or -1.
    """
    if gpu.serves(vectors):
        return gpu.combined(coefficients, vectors, plus, float(sign))
    total = torch.bmm(coefficients.unsqueeze(1), vectors).squeeze(1)
    return total.add_(plus) if sign > 0 else total.sub_(plus)


def moved(
    x: Tensor, direction: Tensor, gradient: Tensor, descends: Tensor, lengths: tuple[Tensor, float], step: Tensor
) -> Tensor:
    """Return x + step; a step follows the direction, or −gradient.

    Args:
        x: vectors (B, D).
        direction: (B, D); it may be written over.
        gradient: (B, D).
        descends: (B, 1), who follows the direction.
        lengths: factor of each step (B, 1), and the root mean square to which a longer one is shortened.
        step: (B, D), where the steps are put.
    """
    factor, longest = lengths
    if gpu.serves(step):
        length = torch.where(descends, rms(direction), rms(gradient)) * factor.abs()
        return gpu.moved(x, direction, gradient, descends, factor * torch.clamp(longest / length, max=1.0), step)
    move = torch.where(descends, direction, -gradient).mul_(factor)
    step.copy_(move.mul_(torch.clamp(longest / rms(move), max=1.0)))
    return x + step
