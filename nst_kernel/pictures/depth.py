"""The depth of pictures: from floats to integers."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32] | NDArray[np.uint8]
"""A picture (H, W, 3), RGB: floats in [0, 1], or integers from 0 to 255."""


def to_uint8(picture: Picture) -> NDArray[np.uint8]:
    """Round a float picture to 8 bits; one of 8 bits is returned as it is.

    Values outside [0, 1] are clipped, halves go to the even neighbour.
    """
    if picture.dtype == np.uint8:
        return cast(NDArray[np.uint8], picture)
    floats = cast(NDArray[np.floating[Any]], picture)
    rounded: NDArray[np.uint8] = np.rint(np.clip(floats, 0, 1) * floats.dtype.type(255)).astype(np.uint8)
    return rounded
