"""Inner products of many long vectors with a few, for L-BFGS, and their squares: each vector is read once."""

import torch
import triton
import triton.language as tl
from torch import Tensor

PROGRAMS, VALUES = 1056, 512
"""Programs that keep a large GPU busy, and the values of a vector that a program reads at a time."""


def products(V: Tensor, a: Tensor, b: Tensor | None = None) -> Tensor:
    """Return the inner products (B, m, R) of the rows of V (B, m, D) with a, or with a and b, each (B, D), in fp32."""
    B, m, D = V.shape
    rows, R = triton.next_power_of_2(m), 1 if b is None else 2
    reads = triton.cdiv(D, VALUES)
    pieces = max(1, min(reads, PROGRAMS // B))
    sums = torch.empty((B, pieces, rows, R), device=V.device)
    second = a if b is None else b
    _products[(pieces, B)](V, a, second, sums, D, pieces, triton.cdiv(reads, pieces), m, rows, R, VALUES)
    return sums.sum(1)[:, :m]


def squares(a: Tensor) -> Tensor:
    """Return the sums of squares of vectors a (B, D) in fp32, (B, 1) in float64, where they cannot overflow."""
    a = a.contiguous()
    B, D = a.shape
    reads = triton.cdiv(D, VALUES)
    pieces = max(1, min(reads, PROGRAMS // B))
    sums = torch.empty((B, pieces), device=a.device, dtype=torch.float64)
    _squares[(pieces, B)](a, sums, D, pieces, triton.cdiv(reads, pieces), VALUES)
    return sums.sum(1, keepdim=True)


@triton.jit
def _squares(a, sums, D, pieces, steps, N: tl.constexpr):
    """Add up one piece of the squares of one sample."""
    piece, sample = tl.program_id(0), tl.program_id(1).to(tl.int64)
    total = tl.zeros((N,), tl.float64)
    for step in range(steps):
        d = (piece * steps + step) * N + tl.arange(0, N)
        value = tl.load(a + sample * D + d, mask=d < D, other=0.0).to(tl.float64)
        total += value * value
    tl.store(sums + sample * pieces + piece, tl.sum(total, 0))


@triton.jit
def _products(
    V,
    a,
    b,
    sums,
    D,
    pieces,
    steps,
    M: tl.constexpr,
    ROWS: tl.constexpr,
    R: tl.constexpr,
    N: tl.constexpr,
):
    """Add up one piece of the products of one sample."""
    piece, sample = tl.program_id(0), tl.program_id(1).to(tl.int64)
    m = tl.arange(0, ROWS)
    by_a, by_b = tl.zeros((ROWS, N), tl.float32), tl.zeros((ROWS, N), tl.float32)
    for step in range(steps):
        d = (piece * steps + step) * N + tl.arange(0, N)
        at = (sample * M + m[:, None]) * D + d[None, :]
        values = tl.load(V + at, mask=(m < M)[:, None] & (d < D)[None, :], other=0.0)
        by_a += values * tl.load(a + sample * D + d, mask=d < D, other=0.0)[None, :]
        if R == 2:
            by_b += values * tl.load(b + sample * D + d, mask=d < D, other=0.0)[None, :]
    at = ((sample * pieces + piece) * ROWS + m) * R
    tl.store(sums + at, tl.sum(by_a, 1))
    if R == 2:
        tl.store(sums + at + 1, tl.sum(by_b, 1))
