"""Pictures with transparent parts: their colours there, which nobody sees and features of their neighbours would."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FAINT = np.float32(8 / 255)
"""Opacity below which a pixel's own colour, of few levels and much noise, goes over into those around it."""


def straight(premultiplied: Floats, opacity: Floats) -> Floats:
    """Return the colours (H, W, 3) of a picture, in [0, 1], with those around a transparent part spread over it.

    Resizing takes colours times opacity, since the colours of what is transparent mean nothing. White or black in their
    place would be an edge, which encoders see from afar, and a fringe on other backgrounds: each pixel gets the mean of
    what is opaque near it, near enough that there is some.

    Args:
        premultiplied: colours times opacity (H, W, 3).
        opacity: (H, W) in [0, 1]; where it is 0 everywhere, the picture is white.
    """
    levels = [(premultiplied, opacity)]
    while max(levels[-1][1].shape) > 1:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    colours = np.ones((1, 1, 3), np.float32)
    for colour, share in reversed(levels):
        height, width = share.shape
        spread = _smooth(colours.repeat(2, axis=0).repeat(2, axis=1)[:height, :width])
        own = share[..., None]
        least = FAINT if share is opacity else np.float32(1e-12)
        colours = ((colour + (least - own).clip(0) * spread) / own.clip(least)).astype(np.float32)
    return np.clip(colours, 0, 1)


def _halved(values: Floats) -> Floats:
    """Return the means of squares of 2 x 2 values (H, W, ...), with zeros beyond an odd border."""
    height, width = values.shape[:2]
    rest = [(0, height % 2), (0, width % 2), *[(0, 0)] * (values.ndim - 2)]
    padded = np.pad(values, rest)
    return np.asarray((padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]) / 4, np.float32)


def _smooth(values: Floats) -> Floats:
    """Return the means of squares of 3 x 3 values (H, W, C)."""
    padded = np.pad(values, [(1, 1), (1, 1), (0, 0)], mode="edge")
    height, width = values.shape[:2]
    parts = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.asarray(sum(parts) / np.float32(9), np.float32)
