"""The way back through a ReLU, and the signs that it needs, of activations that are channels last."""

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 4096
"""Values that one program computes."""


def signs(F: Tensor) -> Tensor:
    """Return where activations F (B, C, H, W) in bf16 are not zero, in a byte each; a zero of negative sign is not."""
    result = torch.empty_like(F, dtype=torch.bool)
    _signs[(triton.cdiv(F.numel(), TILE),)](F.view(torch.int16), result.view(torch.int8), F.numel(), TILE)
    return result


def relu_back(g: Tensor, F: Tensor, ring: int) -> Tensor:
    """Return the gradient before the ReLU from that after it, g (B, C, H, W), which is written over.

    Args:
        g: gradient; C is a multiple of 128 or a power of two.
        F: activations after the ReLU, or their signs; what is returned is zero at their ring and where they are zero.
        ring: pixels of the ring around both, 0 or 1.
    """
    _, C, H, W = F.shape
    F = F.view(torch.int8) if F.dtype == torch.bool else F
    channels = min(C, 128)
    positions = TILE // channels
    grid = (triton.cdiv(H * W, positions), C // channels, len(F))
    _relu_back[grid](g, F, H, W, C, ring, positions, channels)
    return g


@triton.jit
def _signs(F, result, D, N: tl.constexpr):
    """Compute N values of `signs`."""
    d = tl.program_id(0).to(tl.int64) * N + tl.arange(0, N)
    bits = tl.load(F + d, mask=d < D, other=0)
    tl.store(result + d, (bits != 0).to(tl.int8), mask=d < D)


@triton.jit
def _relu_back(g, F, H, W, C, RING: tl.constexpr, P: tl.constexpr, N: tl.constexpr):
    """Compute P positions of N channels of one sample of `relu_back`."""
    p = tl.program_id(0) * P + tl.arange(0, P)
    c = tl.program_id(1) * N + tl.arange(0, N)
    b = tl.program_id(2).to(tl.int64)
    there = (p < H * W)[:, None]
    i, j = p // W, p % W
    inside = ((i >= RING) & (i < H - RING) & (j >= RING) & (j < W - RING))[:, None]
    at = (b * H * W + p)[:, None] * C + c[None, :]
    positive = tl.load(F + at, mask=there, other=0.0).to(tl.float32) > 0
    value = tl.load(g + at, mask=there, other=0.0)
    tl.store(g + at, tl.where(positive & inside, value, 0.0), mask=there)
