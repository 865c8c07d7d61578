"""The ring of one pixel around activations that stands for what lies beyond the border.

Activations (B, N, H, W) are kept as (B, N, H + 2, W + 2), so that the next convolution finds its border in place and
nothing is copied to pad it. A convolution and a pooling of what has a ring give what has room for a ring; `fill` writes
it anew. With border `zero` there is no ring, since convolutions pad with zeros by themselves.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

Border = Literal["zero", "replicate", "reflect", "circular"]
"""Padding of each convolution: zeros, as VGG was trained, the nearest pixel, the picture as in a mirror, or its other
side, so that pictures side by side have no seam."""


def width(border: Border) -> int:
    """Return how many pixels the ring is wide, 0 or 1."""
    return 0 if border == "zero" else 1


def inner(x: Tensor, border: Border) -> Tensor:
    """Return a view of what the ring of x encloses: of (B, N, H + 2, W + 2) the part (B, N, H, W)."""
    return x if border == "zero" else x[:, :, 1:-1, 1:-1]


def enclose(x: Tensor, border: Border) -> Tensor:
    """Return a copy of x (B, N, H, W) with its ring around it; autograd finds the way back."""
    if border == "zero":
        return x
    for axis in (-2, -1):
        side = x.shape[axis]
        first, last = _sources(side, border)
        x = torch.cat([x.narrow(axis, first - 1, 1), x, x.narrow(axis, last - 1, 1)], axis)
    return x


def fill(x: Tensor, border: Border) -> Tensor:
    """Write the ring of x (B, N, H + 2, W + 2) from what it encloses, in place, and return x."""
    if border != "zero":
        for axis in (-2, -1):
            for edge, source in _copies(x, axis, border):
                edge.copy_(source)
    return x


def fold(g: Tensor, border: Border) -> Tensor:
    """Add the gradient of each pixel of the ring to that of the pixel that it repeats, in place, and return g."""
    if border != "zero":
        for axis in (-1, -2):
            for edge, source in _copies(g, axis, border):
                source.add_(edge)
    return g


def clear(x: Tensor, border: Border) -> Tensor:
    """Set the ring of x (B, N, H + 2, W + 2) to zero, in place, and return x."""
    if border != "zero":
        for axis in (-2, -1):
            _edges(x, axis, 0).zero_()
    return x


def _copies(x: Tensor, axis: int, border: Border) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield views of rows of the ring (of columns for axis -1), and of the rows that they repeat."""
    side = x.shape[axis] - 2
    first, last = _sources(side, border)
    if first < last and border != "circular":  # both at once
        yield _edges(x, axis, 0), _edges(x, axis, first)
    else:
        yield x.narrow(axis, 0, 1), x.narrow(axis, first, 1)
        yield x.narrow(axis, side + 1, 1), x.narrow(axis, last, 1)


def _edges(x: Tensor, axis: int, distance: int) -> Tensor:
    """Return a view of the two rows (columns for axis -1) of x that lie so far within the first and the last one."""
    last = x.shape[axis] - 1 - distance
    both = slice(distance, last + 1, last - distance)
    return x[:, :, both] if axis == -2 else x[:, :, :, both]


def _sources(side: int, border: Border) -> tuple[int, int]:
    """Return which of the rows 1 to `side` lie in the ring as rows 0 and `side` + 1."""
    if border == "circular":
        return side, 1
    distance = 2 if border == "reflect" and side > 1 else 1  # a single row is its own mirror image
    return distance, side + 1 - distance
