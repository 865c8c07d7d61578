"""The result of one pair."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StylizeResult:
    """A picture, its losses, and how they fell.

    Attributes:
        image: the best iterate of the final scale, or the average of its iterates with `averaging`, float32 (H, W, 3)
            in [0, 1], or (H, W, 4) with the opacity of the content at last, if that is to be kept; `to_uint8` rounds it
            to 8 bits, `to_uint16` to 16. Whoever sends results from process to process may have rounded it already, to
            uint8 or uint16.
        diverged: whether a loss stopped being finite on the way; the image is of the iterates that were finite.
        losses: of the image, by name: `total`, `content`, `style` (eq. 7, 1 and 5), `tv`, `range`,
            `laplacian` where it has a weight, `style/<layer>`.
        curve: the same names, a value for every iteration of every scale, in order.
        iterations: loss evaluations made, over all scales.
        improved: whether the loss fell below that of the first pixels at any scale; if not, the image is the picture
            that the transfer started from.
    """

    image: NDArray[np.float32] | NDArray[np.uint16] | NDArray[np.uint8]
    diverged: bool
    losses: dict[str, float]
    curve: dict[str, NDArray[np.float64]]
    iterations: int
    improved: bool = True
