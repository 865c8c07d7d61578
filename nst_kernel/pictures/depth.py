"""The depth of pictures: from floats to integers."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32] | NDArray[np.uint16] | NDArray[np.uint8]
"""A picture (H, W, 3), RGB: floats in [0, 1], or integers from 0 to 255, or to 65535."""

_ROWS = 64
"""Rows that are rounded to 16 bits at a time: as float64, a picture would take eight times as much as its result."""


def to_uint8(picture: Picture) -> NDArray[np.uint8]:
    """Round a float picture to 8 bits; one of 8 bits is returned as it is.

    Values outside [0, 1] are clipped, halves go to the even neighbour.

    Raises:
        ValueError: for integers of another depth.
    """
    if picture.dtype == np.uint8:
        return cast(NDArray[np.uint8], picture)
    _check_floats(picture)
    floats = cast(NDArray[np.floating[Any]], picture)
    rounded: NDArray[np.uint8] = np.rint(np.clip(floats, 0, 1) * floats.dtype.type(255)).astype(np.uint8)
    return rounded


def to_uint16(picture: Picture) -> NDArray[np.uint16]:
    """Round a float picture to 16 bits; one of 16 bits is returned as it is.

    Values outside [0, 1] are clipped, halves go to the even neighbour. The product is of float64: float32 has 24 bits,
    which would leave half levels uncertain by up to 1/256.

    Raises:
        ValueError: for integers of another depth.
    """
    if picture.dtype == np.uint16:
        return cast(NDArray[np.uint16], picture)
    _check_floats(picture)
    rounded = np.empty(picture.shape, np.uint16)
    for top in range(0, len(picture), _ROWS):
        band = picture[top : top + _ROWS].astype(np.float64)
        rounded[top : top + _ROWS] = np.rint(np.clip(band, 0, 1) * 65535)
    return rounded


def _check_floats(picture: Picture) -> None:
    """Raise ValueError for integers, which would be taken for shares of white."""
    if picture.dtype.kind != "f":
        raise ValueError(f"a picture of {picture.dtype} was rounded to another depth already: expected floats")
