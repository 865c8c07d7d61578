"""How large a picture becomes."""

MIN_SIDE = 16
"""Pixels: four poolings halve a picture before VGG-19's block 5."""


def fit(height: int, width: int, *, size: int, upscale: bool = False) -> tuple[int, int]:
    """(height, width) with the long side at `size` px and the aspect kept, within the source unless `upscale`.

    The short side has at least 16 px, which VGG-19 needs.
    """
    long = max(height, width)
    ratio = size / long if upscale else min(1.0, size / long)
    return max(MIN_SIDE, round(height * ratio)), max(MIN_SIDE, round(width * ratio))
