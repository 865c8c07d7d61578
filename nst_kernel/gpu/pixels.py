"""Pixels as the first convolution reads them in bf16: normalised, in parts, with a ring around them."""

import torch
import triton
import triton.language as tl
from torch import Tensor

POSITIONS, CHANNELS = 256, 16


def split_pixels(x: Tensor, mean: Tensor, scale: Tensor, *, flip: bool, ring: int, distance: int) -> Tensor:
    """Return what `FirstFilters.entering` returns of normalised pixels, (B, 16, H', W').

    Args:
        x: pictures (B, 3, H, W), RGB, in fp32.
        mean: by channel, subtracted from pixels.
        scale: by channel, factor of the rest.
        flip: whether channels are turned around first, to BGR.
        ring: pixels of the ring around the result, 0 or 1.
        distance: of a row that the ring repeats from the outermost row, 0 or 1.
    """
    x = x.contiguous()
    B, _, H, W = x.shape
    shape = B, CHANNELS, H + 2 * ring, W + 2 * ring
    result = torch.empty(shape, dtype=torch.bfloat16, device=x.device, memory_format=torch.channels_last)
    grid = (triton.cdiv(shape[2] * shape[3], POSITIONS), B)
    _split_pixels[grid](x, mean, scale, result, H, W, flip, ring, distance, POSITIONS, CHANNELS)
    return result


@triton.jit
def _split_pixels(
    x,
    mean,
    scale,
    result,
    H,
    W,
    FLIP: tl.constexpr,
    RING: tl.constexpr,
    DISTANCE: tl.constexpr,
    P: tl.constexpr,
    N: tl.constexpr,
):
    """Compute P positions of one sample: channels are high, low and high parts, a one, and zeros."""
    p = tl.program_id(0) * P + tl.arange(0, P)
    b = tl.program_id(1).to(tl.int64)
    height, width = H + 2 * RING, W + 2 * RING
    i, j = p // width - RING, p % width - RING
    i = tl.where(i < 0, DISTANCE, tl.where(i >= H, H - 1 - DISTANCE, i))
    j = tl.where(j < 0, DISTANCE, tl.where(j >= W, W - 1 - DISTANCE, j))
    there = (p < height * width)[:, None]
    n = tl.arange(0, N)
    colour = n % 3
    at = b * 3 * H * W + (2 - colour if FLIP else colour)[None, :] * H * W + (i * W + j)[:, None]
    value = tl.load(x + at, mask=there & (n < 9)[None, :], other=0.0)
    value = (value - tl.load(mean + colour)[None, :]) * tl.load(scale + colour)[None, :]
    high = value.to(tl.bfloat16)
    low = (value - high.to(tl.float32)).to(tl.bfloat16)
    part = tl.where((n // 3 == 1)[None, :], low, high)
    part = tl.where((n < 9)[None, :], part, tl.where((n == 9)[None, :], 1.0, 0.0).to(tl.bfloat16))
    tl.store(result + (b * height * width + p.to(tl.int64)[:, None]) * N + n[None, :], part, mask=there)
