"""Masks of regions as tensors: at other sizes, eroded, and with ramps along their borders."""

from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor

RAMP = 2
"""Pixels on each side of a border over which one picture goes over into another."""


def resize_masks(masks: Tensor, shape: Sequence[int]) -> Tensor:
    """Return masks (R, H, W) at (height, width): averages over areas where they shrink, linear where they grow.

    Masks that add up to 1 everywhere still do, and values stay in [0, 1].
    """
    if tuple(masks.shape[-2:]) == tuple(shape):
        return masks
    whole, shape = masks.unsqueeze(0), tuple(shape)
    if shape[0] <= masks.shape[-2] and shape[1] <= masks.shape[-1]:
        return nnf.interpolate(whole, size=shape, mode="area")[0]
    return nnf.interpolate(whole, size=shape, mode="bilinear", antialias=True, align_corners=False)[0]


def eroded(masks: Tensor, positions: int, *, tileable: bool = False) -> Tensor:
    """Return masks (R, H, W), each the least of itself within so many positions to all sides.

    A picture's border is no border of a region. A region of which nothing is left stays as it is.
    """
    least = -nnf.max_pool2d(-_continued(masks, positions, tileable=tileable), 2 * positions + 1, stride=1)
    return torch.where(least.sum((1, 2), keepdim=True) > 0, least, masks)


def ramped(mask: Tensor, *, tileable: bool = False) -> Tensor:
    """Return a mask (H, W) whose borders rise over 2 pixels on each side; farther away it is what it was."""
    return nnf.avg_pool2d(_continued(mask.unsqueeze(0), RAMP, tileable=tileable), 2 * RAMP + 1, stride=1)[0]


def _continued(masks: Tensor, width: int, *, tileable: bool) -> Tensor:
    """Return masks (R, H, W) with so many more positions on each side, that go on at the other side or repeat.

    What goes on at the other side is no wider than a picture has positions.
    """
    for axis in (-2, -1):
        side = masks.shape[axis]
        places = torch.arange(-width, side + width, device=masks.device)
        masks = masks.index_select(axis, places % side if tileable else places.clamp(0, side - 1))
    return masks
