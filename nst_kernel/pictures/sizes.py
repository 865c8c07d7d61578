"""The size of an output, from the size of its content picture."""

MIN_SIDE = 16
"""Pixels: four poolings halve a picture before VGG-19's block 5."""


def fit(height: int, width: int, *, size: int, upscale: bool = False, aspect_tolerance: float = 0.0) -> tuple[int, int]:
    """Return the (height, width) of an output: long side at most `size` px, aspect ratio kept.

    The long side is `size`, or the source's own where that is shorter and `upscale` is false.

    With `aspect_tolerance`, the share by which the aspect may move, sides snap to multiples of powers of two, which
    convolutions like, and pictures of nearly the same aspect get the same shape: the short side to the nearest one,
    a long side that is the source's own to the next one below. Without, sides are whole pixels. Either way both have
    at least 16 px, which VGG-19 needs.
    """
    source = max(height, width)
    if upscale or source >= size:
        long = size
    else:
        step = _step(source, aspect_tolerance)
        long = source // step * step
    long = max(MIN_SIDE, long)
    exact = min(height, width) * (long / source)
    step = _step(exact, aspect_tolerance)
    # What is nearly square becomes square, whatever the long side is a multiple of.
    short = long if 2 * (long - exact) <= step > 1 else max(MIN_SIDE, round(exact / step) * step)
    return (short, long) if height < width else (long, short)


def _step(side: float, tolerance: float) -> int:
    """Return the largest power of two to whose multiples `side` rounds within the share `tolerance`; at least 1."""
    return 1 << max(0, int(2 * tolerance * side).bit_length() - 1)
