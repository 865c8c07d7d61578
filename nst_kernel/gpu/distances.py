"""Squared distances of bf16 activations that are channels last from their targets, and the way back."""

import torch
import triton
import triton.language as tl
from torch import Tensor

PROGRAMS, TILE = 1056, 4096
"""Programs that keep a large GPU busy, and the values that one works on at a time."""


def distance(F: Tensor, target: Tensor, ring: int) -> Tensor:
    """Return Σ (F − P)² per sample, (B,), in fp32.

    Args:
        F: activations (B, N, H + 2 ring, W + 2 ring), N a multiple of 128 or a power of two; the ring does not count.
        target: P (B, N, H, W), channels last.
        ring: pixels of the ring around F, 0 or 1.
    """
    B, N, H, W = target.shape
    channels = min(N, 128)
    positions, chunks = TILE // channels, N // channels
    pieces = max(1, min(triton.cdiv(H * W, positions), PROGRAMS // (B * chunks)))
    steps = triton.cdiv(triton.cdiv(H * W, positions), pieces)
    sums = torch.empty((B, chunks * pieces), device=F.device)
    _distance[(pieces, chunks, B)](F, target, sums, H, W, N, pieces, steps, ring, positions, channels)
    return sums.sum(1)


def distance_back(F: Tensor, target: Tensor, factor: Tensor, g: Tensor | None, ring: int) -> Tensor:
    """Return the gradient before the ReLU, where F is positive: factor · (F − P) + g.

    Args:
        F: activations after the ReLU, as of `distance`.
        target: P, as of `distance`.
        factor: of each sample (B,), in fp32.
        g: another gradient of F, which is written over; None: there is none.
        ring: pixels of the ring around F, 0 or 1, where the result is zero.
    """
    B, N, H, W = F.shape
    result = torch.empty_like(F) if g is None else g
    channels = min(N, 128)
    positions = TILE // channels
    grid = (triton.cdiv(H * W, positions), N // channels, B)
    _distance_back[grid](F, target, factor.contiguous(), result, H, W, N, g is not None, ring, positions, channels)
    return result


@triton.jit
def _distance(F, target, sums, H, W, C, pieces, steps, RING: tl.constexpr, P: tl.constexpr, N: tl.constexpr):
    """Add up one piece of N channels of one sample of `distance`."""
    piece, chunk, b = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    c = chunk * N + tl.arange(0, N)
    height, width = H + 2 * RING, W + 2 * RING
    total = tl.zeros((P, N), tl.float32)
    for step in range(steps):
        p = (piece * steps + step) * P + tl.arange(0, P)
        there = (p < H * W)[:, None]
        enclosed = (p // W + RING) * width + p % W + RING
        value = tl.load(F + (b * height * width + enclosed)[:, None] * C + c[None, :], mask=there, other=0.0)
        wanted = tl.load(target + (b * H * W + p)[:, None] * C + c[None, :], mask=there, other=0.0)
        difference = value.to(tl.float32) - wanted.to(tl.float32)
        total += difference * difference
    tl.store(sums + (b * tl.num_programs(1) + chunk) * pieces + piece, tl.sum(tl.sum(total, 1), 0))


@triton.jit
def _distance_back(
    F,
    target,
    factor,
    result,
    H,
    W,
    C,
    GIVEN: tl.constexpr,
    RING: tl.constexpr,
    P: tl.constexpr,
    N: tl.constexpr,
):
    """Compute P positions of N channels of one sample of `distance_back`; with GIVEN, `result` holds a gradient."""
    p = tl.program_id(0) * P + tl.arange(0, P)
    c = tl.program_id(1) * N + tl.arange(0, N)
    b = tl.program_id(2).to(tl.int64)
    there = (p < H * W)[:, None]
    i, j = p // W - RING, p % W - RING
    height, width = H - 2 * RING, W - 2 * RING
    inside = there & ((i >= 0) & (i < height) & (j >= 0) & (j < width))[:, None]
    at = (b * H * W + p)[:, None] * C + c[None, :]
    value = tl.load(F + at, mask=inside, other=0.0).to(tl.float32)
    wanted = tl.load(target + (b * height * width + i * width + j)[:, None] * C + c[None, :], mask=inside, other=0.0)
    total = (value - wanted.to(tl.float32)) * tl.load(factor + b)
    if GIVEN:
        total += tl.load(result + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(result + at, tl.where(value > 0, total, 0.0).to(result.dtype.element_ty), mask=there)
