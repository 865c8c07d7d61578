"""Masks of regions of drawn pictures: grey ones, soft where it says so, and pictures of labels."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from jobs.pictures.noise import Field, grid

_Mask = Callable[[Field, Field], Field]

HORIZON = 0.47
"""The height at which sky and sea of `boats` meet, from its top."""

_SAIL = ((0.755, 0.24), (0.58, 0.74), (0.89, 0.73))
"""The large sail of `boats` as a triangle of (x, y)."""


def _sky(y: Field, x: Field) -> Field:
    return np.asarray((y < HORIZON) & (x >= 0), np.float32)


def _boat(y: Field, x: Field) -> Field:
    """Return the large boat: its sail, and its hull below it."""
    inside = np.ones(np.broadcast_shapes(y.shape, x.shape), bool)
    for (x1, y1), (x2, y2) in zip(_SAIL, (*_SAIL[1:], _SAIL[0]), strict=True):
        inside &= (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) <= 0
    hull = (np.abs(x - 0.70) < 0.2) & (np.abs(y - 0.735) < 0.038)
    return np.asarray(inside | hull, np.float32)


_GREY: dict[str, _Mask] = {
    "sky": _sky,
    "sea": lambda y, x: 1 - _sky(y, x),
    "left to right": lambda y, x: np.asarray(1 - x + 0 * y, np.float32),
    "right to left": lambda y, x: np.asarray(x + 0 * y, np.float32),
}
_LABELS: dict[str, tuple[tuple[_Mask, tuple[int, int, int]], ...]] = {
    "sky, sea, boat": ((_GREY["sea"], (0, 0, 255)), (_sky, (255, 0, 0)), (_boat, (0, 255, 0))),
    "red": ((lambda y, x: np.ones_like(y + x), (255, 0, 0)),),
    "blue": ((lambda y, x: np.ones_like(y + x), (0, 0, 255)),),
}

MASKS: tuple[str, ...] = (*_GREY, *_LABELS)
"""Masks that `draw_mask` draws."""


def draw_mask(name: str, size: int) -> NDArray[np.uint8]:
    """Draw one of `MASKS` as uint8: a grey one (size, size), or a picture of labels (size, size, 3).

    Raises:
        KeyError: no mask of that name.
    """
    y, x = grid(size)
    if name in _GREY:
        return np.asarray(np.rint(255 * _GREY[name](y, x)), np.uint8)
    labels = np.zeros((size, size, 3), np.uint8)
    for mask, colour in _LABELS[name]:
        labels[mask(y, x) > 0] = colour
    return labels
