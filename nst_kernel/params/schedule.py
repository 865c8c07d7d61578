"""The schedule of a transfer: the scales that it passes through, and the loss evaluations at each."""

from typing import Literal

from nst_kernel.pictures import MIN_SIDE

Schedule = tuple[tuple[int, int], ...]
"""(long side in pixels, loss evaluations) of each scale, coarse to fine; the last is the output's."""


def schedule_of(
    size: int, iterations: tuple[int, ...], scales: Literal["sqrt2"] | tuple[int, ...], min_scale: int
) -> Schedule:
    """Return the schedule of an output.

    Args:
        size: long side of the output, pixels.
        iterations: as `StyleParams` has it.
        scales: as `StyleParams` has it.
        min_scale: as `StyleParams` has it.
    """
    if scales == "sqrt2":
        # As many steps as halvings lead from size² to min_scale², in whole numbers: floats could miss one at equality.
        steps = (max(size, min_scale) ** 2 // min_scale**2).bit_length() - 1
        sides = [round(size / 2 ** (step / 2)) for step in range(steps, -1, -1)]
        return tuple(zip(sides, (iterations[0], *iterations[-1:] * steps), strict=True))
    each = iterations if len(iterations) > 1 else iterations * (len(scales) + 1)
    coarser = [(side, n) for side, n in zip(scales, each, strict=False) if MIN_SIDE <= side <= 0.75 * size]
    return (*coarser, (size, each[-1]))
