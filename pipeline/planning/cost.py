"""What a row costs, by arithmetic from its shape and settings: loss evaluations, multiply-adds, bytes."""

from collections.abc import Sequence

from nst_kernel.cost import bytes_of_statistics, bytes_per_pixel, macs_of_statistics, macs_per_pixel
from nst_kernel.params import StyleParams
from pipeline.planning.batch import PlannedRow

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


def memory(params: StyleParams, shape: tuple[int, int], *, precision: str, checkpoint: bool = False) -> float:
    """Return the bytes that optimising one row takes at its peak.

    Args:
        params: of the row.
        shape: (height, width) of its output.
        precision: what `auto` means on the device.
        checkpoint: whether activations are computed again on the way back instead of kept.
    """
    resolved = precision if params.precision == "auto" else params.precision
    pixels = shape[0] * shape[1]
    return pixels * bytes_per_pixel(params, resolved, checkpoint=checkpoint) + bytes_of_statistics(params)
