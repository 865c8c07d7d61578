"""The first convolution and the sum of its gradient's parts: of few channels, with which general ones are slow."""

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


def joined_parts(x: Tensor) -> Tensor:
    """Return the sum of the first three channels and the next three of x (B, 8, H, W), channels last, in fp32."""
    B, C, H, W = x.shape
    result = torch.empty((B, 3, H, W), device=x.device)
    _joined_parts[(triton.cdiv(H * W, PIXELS), B)](x, result, H * W, C, PIXELS)
    return result


@triton.jit
def _first_activation(x, weight, bias, result, H, W, C: tl.constexpr, N: tl.constexpr, P: tl.constexpr):
    """Compute P positions of one sample of `first_activation`."""
    p = tl.program_id(0) * P + tl.arange(0, P)
    b = tl.program_id(1).to(tl.int64)
    i, j = p // W, p % W
    c, n = tl.arange(0, C), tl.arange(0, N)
    total = tl.zeros((P, N), tl.float32)
    for tap in tl.static_range(9):
        row, column = i + (tap // 3 - 1), j + (tap % 3 - 1)
        there = (p < H * W) & (row >= 0) & (row < H) & (column >= 0) & (column < W)
        at = (b * H * W + (row * W + column))[:, None] * C + c[None, :]
        value = tl.load(x + at, mask=there[:, None], other=0.0)
        filters = tl.load(weight + (n * 9 * C)[None, :] + tap * C + c[:, None])
        total = tl.dot(value, filters, total)
    total += tl.load(bias + n).to(tl.float32)[None, :]
    at = (b * H * W + p)[:, None] * N + n[None, :]
    tl.store(result + at, tl.maximum(total, 0.0).to(tl.bfloat16), mask=(p < H * W)[:, None])


@triton.jit
def _joined_parts(x, result, M, C: tl.constexpr, P: tl.constexpr):
    """Compute P positions of one sample of `joined_parts`."""
    p = tl.program_id(0) * P + tl.arange(0, P)
    b = tl.program_id(1).to(tl.int64)
    for c in tl.static_range(3):
        high = tl.load(x + (b * M + p) * C + c, mask=p < M, other=0.0).to(tl.float32)
        low = tl.load(x + (b * M + p) * C + c + 3, mask=p < M, other=0.0).to(tl.float32)
        tl.store(result + (b * 3 + c) * M + p, high + low, mask=p < M)
