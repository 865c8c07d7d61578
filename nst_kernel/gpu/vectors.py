"""What L-BFGS and its loop do with whole pictures, each value read and written once: sums, changes, choices, steps."""

import torch
import triton
import triton.language as tl
from torch import Tensor

VALUES = 1024
"""Values of a vector that a program works on."""


def change_of(gradient: Tensor, unit: Tensor, before: Tensor) -> Tensor:
    """Return `gradient` · `unit` less `before`, and put `gradient` · `unit` in the place of `before`.

    Args:
        gradient: vectors (B, D) in fp32.
        unit: factors (B, 1).
        before: vectors (B, D), written over.
    """
    B, D = gradient.shape
    result = torch.empty_like(before)
    _change[(triton.cdiv(D, VALUES), B)](gradient.contiguous(), unit.contiguous(), before, result, D, VALUES)
    return result


def put(vectors: Tensor, into: Tensor, slot: Tensor, chosen: Tensor) -> None:
    """Put vectors (B, D) into slots of `into` (B, m, D), for chosen samples; the others are not read.

    Args:
        vectors: (B, D).
        into: (B, m, D), contiguous.
        slot: of each sample (B, 1), int64.
        chosen: (B, 1), bool.
    """
    B, m, D = into.shape
    _put[(triton.cdiv(D, VALUES), B)](vectors, into, slot, chosen.contiguous(), D, m, VALUES)


def keep(chosen: Tensor, source: Tensor, into: Tensor) -> None:
    """Copy the chosen samples of `source` (B, ...) over those of `into`; the others are not read."""
    B = len(source)
    where = torch.zeros(B, 1, dtype=torch.int64, device=source.device)
    put(source.view(B, -1), into.view(B, 1, -1), where, chosen)


def combined(coefficients: Tensor, vectors: Tensor, plus: Tensor, factor: float) -> Tensor:
    """Return Σ_j c_j·v_j + factor · plus (B, D).

    Args:
        coefficients: c (B, m).
        vectors: v (B, m, D), contiguous, in fp32.
        plus: (B, D).
        factor: of `plus`.
    """
    B, m, D = vectors.shape
    result, rows = torch.empty_like(plus), triton.next_power_of_2(m)
    _combined[(triton.cdiv(D, VALUES // 2), B)](
        coefficients.contiguous(), vectors, plus, result, factor, D, m, rows, VALUES // 2
    )
    return result


def moved(x: Tensor, direction: Tensor, gradient: Tensor, descends: Tensor, factor: Tensor, step: Tensor) -> Tensor:
    """Return x + step, and put into `step` what the step is: factor times the direction, or times −gradient.

    Args:
        x: vectors (B, D).
        direction: (B, D).
        gradient: (B, D).
        descends: (B, 1), whether a sample follows its direction.
        factor: of the step (B, 1).
        step: (B, D), written over.
    """
    B, D = step.shape
    result = torch.empty_like(step)
    grid = (triton.cdiv(D, VALUES), B)
    _moved[grid](
        x.contiguous(),
        direction,
        gradient,
        descends.contiguous(),
        factor.contiguous(),
        step,
        result,
        D,
        VALUES,
    )
    return result


@triton.jit
def _change(gradient, unit, before, result, D, N: tl.constexpr):
    """Compute N values of one sample of `change_of`."""
    b = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * N + tl.arange(0, N)
    at, there = b * D + d, d < D
    g = tl.load(gradient + at, mask=there) * tl.load(unit + b)
    tl.store(result + at, g - tl.load(before + at, mask=there), mask=there)
    tl.store(before + at, g, mask=there)


@triton.jit
def _put(vectors, into, slot, chosen, D, m, N: tl.constexpr):
    """Copy N values of one sample of `put`."""
    b = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * N + tl.arange(0, N)
    there = d < D * tl.load(chosen + b).to(tl.int32)
    value = tl.load(vectors + b * D + d, mask=there)
    tl.store(into + (b * m + tl.load(slot + b)) * D + d, value, mask=there)


@triton.jit
def _combined(coefficients, vectors, plus, result, factor, D, m: tl.constexpr, ROWS: tl.constexpr, N: tl.constexpr):
    """Compute N values of one sample of `combined`."""
    b = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * N + tl.arange(0, N)
    there = d < D
    j = tl.arange(0, ROWS)
    c = tl.load(coefficients + b * m + j, mask=j < m, other=0.0)
    at = (b * m + j)[:, None] * D + d[None, :]
    values = tl.load(vectors + at, mask=(j < m)[:, None] & there[None, :], other=0.0)
    total = tl.sum(c[:, None] * values, 0) + factor * tl.load(plus + b * D + d, mask=there, other=0.0)
    tl.store(result + b * D + d, total, mask=there)


@triton.jit
def _moved(x, direction, gradient, descends, factor, step, result, D, N: tl.constexpr):
    """Compute N values of one sample of `moved`."""
    b = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * N + tl.arange(0, N)
    at, there = b * D + d, d < D
    # Only what is followed is read.
    along = D * tl.load(descends + b).to(tl.int32)
    way = tl.load(direction + at, mask=d < along, other=0.0)
    way -= tl.load(gradient + at, mask=there & (d >= along), other=0.0)
    move = way * tl.load(factor + b)
    tl.store(step + at, move, mask=there)
    tl.store(result + at, tl.load(x + at, mask=there) + move, mask=there)
