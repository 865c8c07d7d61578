"""What the learned curvature does with pictures and their spectra, each value read and written once."""

import torch
import triton
import triton.language as tl
from torch import Tensor

VALUES = 1024
"""Pixels or frequencies that a program works on at a time."""

PROGRAMS = 528
"""Programs that keep a large GPU busy: the sums of one picture are added up in so many pieces, over all samples."""


def transformed(v: Tensor, colours: Tensor, place: Tensor, *, divide: bool = False) -> Tensor:
    """Return place · colours·v: the colours of pictures transformed, and each pixel multiplied.

    Args:
        v: pictures (B, 3, H, W) in fp32.
        colours: matrix (3, 3).
        place: factor of each pixel (B, 1, H, W).
        divide: whether to divide by the factor instead.
    """
    v, colours = v.contiguous(), colours.contiguous()
    B, D = len(v), v[0, 0].numel()
    result = torch.empty_like(v)
    _transformed[(triton.cdiv(D, VALUES), B)](v, colours, place.contiguous(), result, D, divide, VALUES)
    return result


def power_by_ring(spectrum: Tensor, ring: Tensor, count: Tensor, rings: int) -> Tensor:
    """Return the sums of squares of a half spectrum by ring, (B, C, rings).

    Args:
        spectrum: complex (B, C, H, W').
        ring: of each frequency (H, W'), from 0 to `rings` - 1, at most 32 of them.
        count: how often a column counts (W',).
        rings: how many there are.
    """
    B, C, H, W = spectrum.shape
    pieces = max(1, min(H, PROGRAMS // (B * C)))
    rows = triton.cdiv(H, pieces)
    sums = torch.empty((B * C, pieces, 32), device=spectrum.device)
    parts = torch.view_as_real(spectrum.contiguous())
    _power_by_ring[(pieces, B * C)](parts, ring.contiguous(), count, sums, H, W, pieces, rows, 32, 128)
    return sums.sum(1)[:, :rings].view(B, C, rings)


def scaled_by_ring(spectrum: Tensor, ring: Tensor, factors: Tensor) -> Tensor:
    """Return a half spectrum multiplied by the factor of each frequency's ring.

    Args:
        spectrum: complex (B, C, H, W'); it may be written over.
        ring: of each frequency (H, W').
        factors: by ring (B, C, rings).
    """
    spectrum = spectrum.contiguous()
    B, C, H, W = spectrum.shape
    parts = torch.view_as_real(spectrum)
    grid = (triton.cdiv(H * W, VALUES), B * C)
    _scaled_by_ring[grid](parts, ring.contiguous(), factors.contiguous(), H * W, factors.shape[2], VALUES)
    return spectrum


def squares_by_place(v: Tensor, side: int) -> Tensor:
    """Return the means over squares of `side` pixels, a power of two, of v² summed over colours, (B, 1, h, w).

    Args:
        v: pictures (B, C, H, W) in fp32; the last squares may be cut off by the border.
        side: of a square.
    """
    v = v.contiguous()
    B, C, H, W = v.shape
    h, w = triton.cdiv(H, side), triton.cdiv(W, side)
    result = torch.empty((B, 1, h, w), device=v.device)
    _squares_by_place[(triton.cdiv(W, 256), h, B)](v, result, H, W, h, w, C, side, 256)
    return result


@triton.jit
def _transformed(v, colours, place, result, D, DIVIDE: tl.constexpr, N: tl.constexpr):
    """Compute N pixels of one picture of `transformed`."""
    b = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * N + tl.arange(0, N)
    there = d < D
    at = b * 3 * D + d
    factor = tl.load(place + b * D + d, mask=there, other=1.0)
    first = tl.load(v + at, mask=there, other=0.0)
    second = tl.load(v + at + D, mask=there, other=0.0)
    third = tl.load(v + at + 2 * D, mask=there, other=0.0)
    for row in tl.static_range(3):
        total = first * tl.load(colours + 3 * row)
        total += second * tl.load(colours + 3 * row + 1)
        total += third * tl.load(colours + 3 * row + 2)
        total = total / factor if DIVIDE else total * factor
        tl.store(result + at + row * D, total, mask=there)


@triton.jit
def _power_by_ring(parts, ring, count, sums, H, W, pieces, rows, R: tl.constexpr, N: tl.constexpr):
    """Add up the rows of one piece of one picture of `power_by_ring`."""
    piece, picture = tl.program_id(0), tl.program_id(1).to(tl.int64)
    r = tl.arange(0, R)
    total = tl.zeros((N, R), tl.float32)
    for step in range(rows):
        row = piece * rows + step
        width = tl.where(row < H, W, 0)
        for start in range(0, W, N):
            column = start + tl.arange(0, N)
            there = column < width
            at = ((picture * H + row) * W + column) * 2
            real = tl.load(parts + at, mask=there, other=0.0)
            imaginary = tl.load(parts + at + 1, mask=there, other=0.0)
            power = (real * real + imaginary * imaginary) * tl.load(count + column, mask=there, other=0.0)
            own = tl.load(ring + row * W + column, mask=there, other=0)
            total += tl.where(own[:, None] == r[None, :], power[:, None], 0.0)
    tl.store(sums + (picture * pieces + piece) * R + r, tl.sum(total, 0))


@triton.jit
def _scaled_by_ring(parts, ring, factors, D, rings, N: tl.constexpr):
    """Multiply N frequencies of one picture of `scaled_by_ring`."""
    picture = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * N + tl.arange(0, N)
    there = d < D
    factor = tl.load(factors + picture * rings + tl.load(ring + d, mask=there, other=0), mask=there)
    at = (picture * D + d) * 2
    tl.store(parts + at, tl.load(parts + at, mask=there) * factor, mask=there)
    tl.store(parts + at + 1, tl.load(parts + at + 1, mask=there) * factor, mask=there)


@triton.jit
def _squares_by_place(v, result, H, W, h, w, C, SIDE: tl.constexpr, N: tl.constexpr):
    """Compute the squares of N columns and SIDE rows of one picture of `squares_by_place`."""
    block, row, b = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    column = block * N + tl.arange(0, N)
    total = tl.zeros((N,), tl.float32)
    for c in range(C):
        for i in tl.static_range(SIDE):
            line = row * SIDE + i
            there = column < tl.where(line < H, W, 0)
            value = tl.load(v + ((b * C + c) * H + line) * W + column, mask=there, other=0.0)
            total += value * value
    cell = block * (N // SIDE) + tl.arange(0, N // SIDE)
    sums = tl.sum(tl.reshape(total, (N // SIDE, SIDE)), 1)
    pixels = tl.minimum(SIDE, H - row * SIDE) * tl.minimum(SIDE, W - cell * SIDE)
    tl.store(result + (b * h + row) * w + cell, sums / pixels.to(tl.float32), mask=cell < w)
