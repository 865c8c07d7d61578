"""The size of an output, from the size of its content picture."""

import math

MIN_SIDE = 16
"""Pixels: four poolings halve a picture before VGG-19's block 5."""

TILE_STEP = 16
"""Pixels: sides of a picture that tiles are multiples of it, so that no pooling leaves out a row."""


def fit(
    height: int,
    width: int,
    *,
    size: int,
    upscale: bool = False,
    aspect_tolerance: float = 0.0,
    tileable: bool = False,
) -> tuple[int, int]:
    """Return the (height, width) of an output: long side at most `size` px, aspect ratio kept.

    The long side is `size`, or the source's own where that is shorter and `upscale` is false.

    With `aspect_tolerance`, the share by which the aspect may move, sides snap to multiples of powers of two, which
    convolutions like, and pictures of nearly the same aspect get the same shape: the short side to the nearest one,
    a long side that is the source's own to the next one below. Without, sides are whole pixels. Either way both have
    at least 16 px, which VGG-19 needs; a picture that is smaller grows. With `tileable`, both are multiples of 16: the
    long side of the one below, the short side of the nearest.

    Raises:
        ValueError: for a picture so narrow that `size` leaves less than 16 px of its short side.
    """
    source = max(height, width)
    if upscale or source >= size:
        long = size
    else:
        step = _step(source, aspect_tolerance)
        long = source // step * step
    if tileable:
        long = long // TILE_STEP * TILE_STEP
    long = max(MIN_SIDE, long)
    exact = min(height, width) * (long / source)
    if exact * (1 + aspect_tolerance) < MIN_SIDE - 0.5:
        long = math.ceil(MIN_SIDE * source / min(height, width))
        if long > max(size, MIN_SIDE):
            raise ValueError(
                f"{width} x {height} pixels are too narrow for size {size}: the short side would have {exact:.1f} and "
                f"needs at least {MIN_SIDE}: crop the picture, or set size to {long} or more"
            )
        if tileable:
            long = min(-(-long // TILE_STEP) * TILE_STEP, max(size // TILE_STEP * TILE_STEP, MIN_SIDE))
        exact = min(height, width) * (long / source)
    step = _step(exact, aspect_tolerance)
    if tileable:
        step = max(step, TILE_STEP)
    # What is nearly square becomes square, whatever the long side is a multiple of.
    short = long if 2 * (long - exact) <= step > 1 else max(MIN_SIDE, round(exact / step) * step)
    return (short, long) if height < width else (long, short)


def fit_style(height: int, width: int, *, size: int, scale: float = 1.0, upscale: bool = False) -> tuple[int, int]:
    """Return the (height, width) of a style for an output whose long side is `size` px, aspect ratio kept.

    A style so narrow that its short side would have less than 16 px is larger instead: no output has its shape.

    Args:
        height: of the style, pixels.
        width: of the style, pixels.
        size: long side of the output, pixels.
        scale: long side of the style over that of the output.
        upscale: whether the style may be enlarged beyond its own pixels.
    """
    size = round(size * scale)
    narrowest = math.ceil(MIN_SIDE * max(height, width) / min(height, width))
    return fit(height, width, size=max(size, narrowest), upscale=upscale)


def tiled(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) next to a shape that a picture that tiles may have."""
    height, width = (max(MIN_SIDE, round(side / TILE_STEP) * TILE_STEP) for side in shape)
    return height, width


def _step(side: float, tolerance: float) -> int:
    """Return the largest power of two to whose multiples `side` rounds within the share `tolerance`; at least 1."""
    return 1 << max(0, int(2 * tolerance * side).bit_length() - 1)
