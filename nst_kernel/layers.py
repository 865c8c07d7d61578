"""VGG-19's convolutions: their names, widths and shapes."""

LAYERS: tuple[str, ...] = tuple(
    f"conv{block}_{i + 1}" for block, depth in enumerate((2, 2, 4, 4, 4), start=1) for i in range(depth)
)
"""VGG-19's convolutions by their names in the literature; an activation is taken after its ReLU."""


WIDTHS = (64, 128, 256, 512, 512)
"""Filters of a convolution, by block."""


def shape_of(layer: str) -> tuple[int, int, int, int]:
    """Return the shape (filters, input channels, 3, 3) of the weights of a convolution, by its name in `LAYERS`."""
    index = LAYERS.index(layer)
    before = 3 if index == 0 else WIDTHS[int(LAYERS[index - 1][4]) - 1]
    return WIDTHS[int(layer[4]) - 1], before, 3, 3


def beyond(layer: str) -> int:
    """Return how many positions to each side a position of a layer sees beyond itself at most.

    A convolution adds one position of its block, and a pooling sees no more than the position that it makes: beyond
    its own square of pixels `conv3_1` sees 10, which are 3 squares.
    """
    pixels = sum(1 << (int(name[4]) - 1) for name in LAYERS[: LAYERS.index(layer) + 1])
    return -(-pixels // (1 << (int(layer[4]) - 1)))
