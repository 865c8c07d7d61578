"""The first convolution and the ways back through it: of few channels, with which general convolutions are slow."""

import torch
import triton
import triton.language as tl
from torch import Tensor

POSITIONS = 128
"""Positions of activations that a program computes."""

PIXELS = 1024
"""Positions of pixels that a program computes."""


def first_activation(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the activation after the ReLU (B, N, H, W) of pixels in parts, padded with zeros, in bf16.

    Args:
        x: pixels in parts (B, 16, H, W), channels last: see `split_pixels`.
        weight: filters (N, 16, 3, 3), channels last, N a power of two.
        bias: (N,).
    """
    B, C, H, W = x.shape
    N = len(weight)
    result = torch.empty((B, N, H, W), dtype=torch.bfloat16, device=x.device, memory_format=torch.channels_last)
    _first_activation[(triton.cdiv(H * W, POSITIONS), B)](x, weight, bias, result, H, W, C, N, POSITIONS)
    return result


def first_gram_back(x: Tensor, weight: Tensor, bias: Tensor, symmetric: Tensor, g: Tensor, ring: int) -> Tensor:
    """Return what `gram_back` returns of the first layer, whose activations are computed again on the way.

    Args:
        x: pixels in parts, as of `first_activation`.
        weight: filters, as there.
        bias: as there.
        symmetric: S, as of `gram_back`, (B, N, N).
        g: another gradient of the activations (B, N, H, W), channels last, which is written over.
        ring: pixels of the ring around them, 0 or 1, where the result is zero.
    """
    B, C, H, W = x.shape
    grid = (triton.cdiv(H * W, POSITIONS), B)
    _first_gram_back[grid](x, weight, bias, symmetric, g, H, W, ring, C, len(weight), POSITIONS)
    return g


def joined_parts(x: Tensor) -> Tensor:
    """Return the sum of the first three channels and the next three of x (B, 8, H, W), channels last, in fp32."""
    B, C, H, W = x.shape
    result = torch.empty((B, 3, H, W), device=x.device)
    _joined_parts[(triton.cdiv(H * W, PIXELS), B)](x, result, H * W, C, PIXELS)
    return result


@triton.jit
def _activation(x, weight, bias, p, H, W, C: tl.constexpr, N: tl.constexpr):
    """Return the activations after the ReLU of positions p of one sample, (P, N) in fp32."""
    i, j = p // W, p % W
    c, n = tl.arange(0, C), tl.arange(0, N)
    total = tl.zeros((p.shape[0], N), tl.float32)
    for tap in tl.static_range(9):
        row, column = i + (tap // 3 - 1), j + (tap % 3 - 1)
        there = (p < H * W) & (row >= 0) & (row < H) & (column >= 0) & (column < W)
        value = tl.load(x + ((row * W + column) * C)[:, None] + c[None, :], mask=there[:, None], other=0.0)
        filters = tl.load(weight + (n * 9 * C)[None, :] + tap * C + c[:, None])
        total = tl.dot(value, filters, total)
    return tl.maximum(total + tl.load(bias + n).to(tl.float32)[None, :], 0.0)


@triton.jit
def _first_activation(x, weight, bias, result, H, W, C: tl.constexpr, N: tl.constexpr, P: tl.constexpr):
    """Compute P positions of one sample of `first_activation`."""
    p = tl.program_id(0) * P + tl.arange(0, P)
    b = tl.program_id(1).to(tl.int64)
    F = _activation(x + b * H * W * C, weight, bias, p, H, W, C, N)
    at = (b * H * W + p)[:, None] * N + tl.arange(0, N)[None, :]
    tl.store(result + at, F.to(tl.bfloat16), mask=(p < H * W)[:, None])


@triton.jit
def _first_gram_back(
    x,
    weight,
    bias,
    symmetric,
    g,
    H,
    W,
    RING: tl.constexpr,
    C: tl.constexpr,
    N: tl.constexpr,
    P: tl.constexpr,
):
    """Compute P positions of one sample of `first_gram_back`."""
    p = tl.program_id(0) * P + tl.arange(0, P)
    b = tl.program_id(1).to(tl.int64)
    F = _activation(x + b * H * W * C, weight, bias, p, H, W, C, N).to(tl.bfloat16)
    n = tl.arange(0, N)
    of_gram = tl.load(symmetric + b * N * N + n[:, None] * N + n[None, :])
    at = (b * H * W + p)[:, None] * N + n[None, :]
    there = (p < H * W)[:, None]
    total = tl.load(g + at, mask=there, other=0.0).to(tl.float32)
    total = tl.dot(F.to(of_gram.dtype), of_gram, total)
    i, j = p // W, p % W
    inside = ((i >= RING) & (i < H - RING) & (j >= RING) & (j < W - RING))[:, None]
    result = tl.where((F.to(tl.float32) > 0) & inside, total, 0.0)
    tl.store(g + at, result.to(g.dtype.element_ty), mask=there)


@triton.jit
def _joined_parts(x, result, M, C: tl.constexpr, P: tl.constexpr):
    """Compute P positions of one sample of `joined_parts`."""
    p = tl.program_id(0) * P + tl.arange(0, P)
    b = tl.program_id(1).to(tl.int64)
    for c in tl.static_range(3):
        high = tl.load(x + (b * M + p) * C + c, mask=p < M, other=0.0).to(tl.float32)
        low = tl.load(x + (b * M + p) * C + c + 3, mask=p < M, other=0.0).to(tl.float32)
        tl.store(result + (b * 3 + c) * M + p, high + low, mask=p < M)
