"""Gram matrices of bf16 activations that are channels last, and the way back through them and the ReLU."""

import torch
import triton
import triton.language as tl
from torch import Tensor

PROGRAMS = 264
"""Programs that keep a large GPU busy: of few Gram matrices, each is computed in so many pieces."""

POSITIONS = 64
"""Positions that a program reads at a time."""


def gram(F: Tensor) -> Tensor:
    """Return F Fᵀ (B, N, N) in fp32 of activations F (B, N, H, W) in bf16, N at most 512 and a power of two."""
    B, N, H, W = F.shape
    side = min(N, 128)
    tiles = (N // side) ** 2
    pieces = max(1, PROGRAMS // (B * tiles))
    steps = triton.cdiv(triton.cdiv(H * W, POSITIONS), pieces)
    sums = torch.empty((B, pieces, N, N), device=F.device)
    _gram[(pieces, tiles, B)](F, sums, H * W, pieces, steps, N, side, POSITIONS)
    return sums.sum(1)


def gram_back(F: Tensor, symmetric: Tensor, g: Tensor | None, ring: int) -> Tensor:
    """Return the gradient before the ReLU, where F is positive: S F + g.

    Args:
        F: activations (B, N, H, W) after the ReLU, in bf16.
        symmetric: S, (dG + dGᵀ)/M of the gradient dG of their Gram matrix (B, N, N), in bf16.
        g: another gradient of F, which is written over; None: there is none.
        ring: pixels of the ring around F, 0 or 1, where the result is zero.
    """
    B, N, H, W = F.shape
    result = torch.empty_like(F) if g is None else g
    side = min(N, 128)
    grid = (triton.cdiv(H * W, POSITIONS), N // side, B)
    given = g is not None
    _gram_back[grid](F, symmetric, result, H, W, given, ring, N, POSITIONS, side, 64)
    return result


@triton.jit
def _gram(F, sums, M, pieces, steps, N: tl.constexpr, SIDE: tl.constexpr, P: tl.constexpr):
    """Add up one tile of one piece of one Gram matrix."""
    piece, tile, b = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    TILES: tl.constexpr = N // SIDE
    n = (tile // TILES) * SIDE + tl.arange(0, SIDE)
    m = (tile % TILES) * SIDE + tl.arange(0, SIDE)
    total = tl.zeros((SIDE, SIDE), tl.float32)
    for step in range(steps):
        p = (piece * steps + step) * P + tl.arange(0, P)
        row = b * M * N + p.to(tl.int64)[:, None] * N
        there = (p < M)[:, None]
        left = tl.load(F + row + n[None, :], mask=there, other=0.0)
        right = tl.load(F + row + m[None, :], mask=there, other=0.0)
        total = tl.dot(tl.trans(left), right, total)
    tl.store(sums + ((b * pieces + piece) * N + n[:, None]) * N + m[None, :], total)


@triton.jit
def _gram_back(
    F,
    symmetric,
    result,
    H,
    W,
    GIVEN: tl.constexpr,
    RING: tl.constexpr,
    N: tl.constexpr,
    P: tl.constexpr,
    SIDE: tl.constexpr,
    STEP: tl.constexpr,
):
    """Compute P positions of SIDE channels of one sample of `gram_back`; with GIVEN, `result` holds a gradient."""
    p = tl.program_id(0) * P + tl.arange(0, P)
    n = tl.program_id(1) * SIDE + tl.arange(0, SIDE)
    b = tl.program_id(2).to(tl.int64)
    there = (p < H * W)[:, None]
    row = b * H * W * N + p.to(tl.int64)[:, None] * N
    total = tl.zeros((P, SIDE), tl.float32)
    for start in range(0, N, STEP):
        k = start + tl.arange(0, STEP)
        features = tl.load(F + row + k[None, :], mask=there, other=0.0)
        total = tl.dot(features, tl.load(symmetric + b * N * N + k[:, None] * N + n[None, :]), total)
    at = row + n[None, :]
    if GIVEN:
        total += tl.load(result + at, mask=there, other=0.0).to(tl.float32)
    i, j = p // W, p % W
    inside = ((i >= RING) & (i < H - RING) & (j >= RING) & (j < W - RING))[:, None]
    positive = tl.load(F + at, mask=there, other=0.0).to(tl.float32) > 0
    tl.store(result + at, tl.where(positive & inside, total, 0.0).to(result.dtype.element_ty), mask=there)
