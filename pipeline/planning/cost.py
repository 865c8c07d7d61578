"""What a row costs, by arithmetic from its shape and settings: loss evaluations, multiply-adds, bytes."""

from collections.abc import Sequence

from nst_kernel.cost import (
    SAVINGS,
    TILE,
    Saving,
    bytes_of_statistics,
    bytes_of_tile,
    bytes_per_pixel,
    macs_of_statistics,
    macs_per_pixel,
)
from nst_kernel.params import StyleParams
from pipeline.planning.batch import PlannedRow
from pipeline.planning.limits import Limits

PASSES = 2
"""Of the convolutions in one loss evaluation, forward and back: filters are not trained, so back costs as forward."""


def evaluations(params: StyleParams, shape: tuple[int, int]) -> int:
    """Return the loss evaluations of a row whose output has this (height, width), at most: a scale may end early."""
    return sum(count for _, count in params.schedule(max(shape)))


def multiply_adds(params: StyleParams, shape: tuple[int, int]) -> float:
    """Return the multiply-adds of a row over all scales and evaluations, forward and back.

    They are those of convolutions, and of what a style loss has products of matrices for whatever the size.
    """
    long = max(shape)
    pixels = sum(count * (side / long) ** 2 for side, count in params.schedule(long)) * shape[0] * shape[1]
    return PASSES * macs_per_pixel(params) * pixels + macs_of_statistics(params) * evaluations(params, shape)


def work(rows: Sequence[PlannedRow]) -> float:
    """Return the multiply-adds of all rows of a bucket or batch, whose shape and settings are equal."""
    shape = rows[0].shape
    return len(rows) * multiply_adds(rows[0].row.params, shape) if shape else 0.0


def memory(params: StyleParams, shape: tuple[int, int], *, precision: str, saving: Saving = "nothing") -> float:
    """Return the bytes that optimising one row takes at its peak.

    Args:
        params: of the row.
        shape: (height, width) of its output.
        precision: what `auto` means on the device.
        saving: how the transfer saves memory.
    """
    resolved = precision if params.precision == "auto" else params.precision
    pixels = shape[0] * shape[1]
    tile = bytes_of_tile(params, resolved, shape) if saving == "tiles" else 0
    return pixels * bytes_per_pixel(params, resolved, saving=saving) + bytes_of_statistics(params) + tile


def savings_of(shape: tuple[int, int]) -> tuple[Saving, ...]:
    """Return the ways to save memory that there are for an output of this (height, width), each less than the last."""
    return tuple(saving for saving in SAVINGS if max(shape) > TILE or saving != "tiles")


def saving_that_fits(
    params: StyleParams, shape: tuple[int, int], *, precision: str, available: float | None
) -> Saving | None:
    """Return the way to save memory that takes the least time of those by which one row fits; None if none does.

    Args:
        params: of the row.
        shape: (height, width) of its output.
        precision: what `auto` means on the device.
        available: bytes; None: not known, and then as many as it takes.
    """
    for saving in savings_of(shape):
        if not available or memory(params, shape, precision=precision, saving=saving) <= available:
            return saving
    return None


def limits_for(params: StyleParams, shape: tuple[int, int], limits: Limits) -> Limits:
    """Return what batches of such rows must stay within: the limits of larger devices if others cannot hold one row.

    Args:
        params: of the row.
        shape: (height, width) of its output.
        limits: of all devices.
    """
    if not limits.larger:
        return limits
    fits = saving_that_fits(params, shape, precision=limits.precision, available=limits.memory)
    return limits if fits else limits.larger


def largest_side(params: StyleParams, shape: tuple[int, int], *, precision: str, available: float) -> int:
    """Return the long side, a multiple of 16 pixels, of the largest output of this aspect ratio that fits; 0: none."""
    long = max(shape)

    def fits(side: int) -> bool:
        height, width = (max(1, round(each * side / long)) for each in shape)
        return saving_that_fits(params, (height, width), precision=precision, available=available) is not None

    low, high = 0, -(-long // 16)  # times 16 pixels: the one fits, the other does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(16 * middle) else (low, middle)
    return 16 * low
