"""Average pooling of activations that are channels last, and the way back through it and the ReLU before it."""

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 4096
"""Values that one program computes."""


def pool(x: Tensor, ring: int) -> Tensor:
    """Return the means of 2 x 2 positions of x (B, C, H, W); as `avg_pool2d(x, 2, padding=ring)`.

    Args:
        x: activations; C is a multiple of 64 and a power of two.
        ring: pixels of the ring around x, 0 or 1.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    B, C, H, W = x.shape
    height, width = (H + 2 * ring) // 2, (W + 2 * ring) // 2
    result = torch.empty((B, C, height, width), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    channels = min(C, 128)
    positions = TILE // channels
    grid = (triton.cdiv(height * width, positions), C // channels, B)
    _pool[grid](x, result, H, W, height, width, C, ring, positions, channels)
    return result


def pool_back(g: Tensor, F: Tensor, ring: int) -> Tensor:
    """Return the gradient before the ReLU of activations F (B, C, H, W), from the gradient g of what `pool` returned.

    Args:
        g: gradient (B, C, H', W'); a ring around it counts as zero.
        F: activations after the ReLU, or their signs; what is returned is zero at their ring and where they are zero.
        ring: pixels of the rings around both, 0 or 1.
    """
    g = g.contiguous(memory_format=torch.channels_last)
    B, C, H, W = F.shape
    result = torch.empty_like(F, dtype=g.dtype)
    F = F.view(torch.int8) if F.dtype == torch.bool else F
    channels = min(C, 128)
    positions = TILE // channels
    grid = (triton.cdiv(H * W, positions), C // channels, B)
    _pool_back[grid](g, F, result, H, W, g.shape[2], g.shape[3], C, ring, positions, channels)
    return result


@triton.jit
def _pool(x, result, H, W, height, width, C, RING: tl.constexpr, P: tl.constexpr, N: tl.constexpr):
    """Compute P positions of N channels of one sample of `pool`."""
    p = tl.program_id(0) * P + tl.arange(0, P)
    c = tl.program_id(1) * N + tl.arange(0, N)
    b = tl.program_id(2).to(tl.int64)
    there = p < height * width
    i, j = p // width, p % width
    total = tl.zeros((P, N), tl.float32)
    for di in tl.static_range(2):
        for dj in tl.static_range(2):
            row, column = 2 * i + di - RING, 2 * j + dj - RING
            inside = there & (row >= 0) & (row < H) & (column >= 0) & (column < W)
            at = b * H * W * C + (row * W + column).to(tl.int64)[:, None] * C + c[None, :]
            total += tl.load(x + at, mask=inside[:, None], other=0.0).to(tl.float32)
    at = b * height * width * C + p.to(tl.int64)[:, None] * C + c[None, :]
    tl.store(result + at, (total * 0.25).to(result.dtype.element_ty), mask=there[:, None])


@triton.jit
def _pool_back(g, F, result, H, W, height, width, C, RING: tl.constexpr, P: tl.constexpr, N: tl.constexpr):
    """Compute P positions of N channels of one sample of `pool_back`."""
    p = tl.program_id(0) * P + tl.arange(0, P)
    c = tl.program_id(1) * N + tl.arange(0, N)
    b = tl.program_id(2).to(tl.int64)
    there = p < H * W
    # The window of each position; an odd last row or column belongs to none.
    i, j = (p // W + RING) // 2, (p % W + RING) // 2
    inside = there & (i >= RING) & (i < height - RING) & (j >= RING) & (j < width - RING)
    inside &= (p // W >= RING) & (p % W >= RING)
    of_window = b * height * width * C + (i * width + j).to(tl.int64)[:, None] * C + c[None, :]
    at = b * H * W * C + p.to(tl.int64)[:, None] * C + c[None, :]
    value = tl.load(g + of_window, mask=inside[:, None], other=0.0).to(tl.float32) * 0.25
    positive = tl.load(F + at, mask=there[:, None], other=0.0).to(tl.float32) > 0
    tl.store(result + at, tl.where(positive, value, 0.0).to(result.dtype.element_ty), mask=there[:, None])
