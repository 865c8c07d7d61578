"""What became of one pair."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StylizeResult:
    """A picture and how it came about.

    Attributes:
        image: the best iterate of the final scale, uint8 (H, W, 3).
        diverged: whether a loss stopped being finite on the way; the image is the best one before or since.
        losses: of the image, by name: `total`, `content`, `style` (eq. 7, 1 and 5), `tv`, `range`, `style/<layer>`.
        curve: the same names, a value for every iteration of every scale, in order.
        iterations: loss evaluations made, over all scales.
    """

    image: NDArray[np.uint8]
    diverged: bool
    losses: dict[str, float]
    curve: dict[str, NDArray[np.float64]]
    iterations: int
