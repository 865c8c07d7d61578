"""What a transfer costs, before it is made: bytes of memory and multiply-adds."""

import itertools
from typing import Literal, get_args

from nst_kernel.layers import LAYERS, WIDTHS, beyond
from nst_kernel.params import StyleParams

# Pictures, targets, the optimiser's vectors and what a convolution works in at full resolution, with values of e bytes:
# (constant, per byte), fitted to measured peaks (`tests/bench/memory.py`), which it exceeds by 1 to 10 %.
WORKING, WORKING_IN_STRIPS = (150, 72), (240, 98)
WORKING_IN_TILES = 340
DIFFERENCES = 2
"""Bytes for each value of a content layer in which differences from the target are computed, a quarter at a time."""

Saving = Literal["nothing", "checkpoint", "tiles"]
"""How a transfer saves memory. nothing: activations are kept; checkpoint: they are computed twice, the first block in
strips; tiles: those of one tile are there at a time."""

SAVINGS: tuple[Saving, ...] = get_args(Saving)
"""Each takes less memory than the one before, and more time."""

TILE = 1024
"""Side of a tile, pixels: a larger one has less halo around it, and needs more memory."""

REGION, REGIONS = 53, 6
"""Bytes per pixel of a region: its masks at every layer, and what becomes of them; and how many regions a sample with
masks is taken to have, since pictures of labels alone tell, and samples have as many as the batch-mate with the most.
Measured in fp32 at 256 px: 11 for one region, 61 for two, 166 for four."""

MATRICES = {"gram": 0, "covariance": 6, "w2": 10}
"""N x N matrices by statistic and style layer, in fp32, that `bytes_per_pixel` does not cover: a bound. Peaks that were
measured in fp32 at 192 px do not show them, since activations are at their most while there are none."""
PRODUCTS = 37
"""Products of N x N matrices in one evaluation of w2: 33 for the inverse root, 2 before it and 2 behind."""


def tile_of(saving: Saving) -> int:
    """Return the side of the tiles in which pictures are computed, pixels; 0: they are computed whole."""
    return TILE if saving == "tiles" else 0


def bytes_per_pixel(params: StyleParams, precision: str, *, saving: Saving = "nothing") -> float:
    """Return the peak memory of a transfer, in bytes per pixel of the output and sample.

    With tiles it is what is there beside the tile itself, whose memory `bytes_of_tile` returns.

    Args:
        params: of the transfer.
        precision: of the convolutions: `fp32`, `tf32` or `bf16`.
        saving: how the transfer saves memory.
    """
    size = 2 if precision == "bf16" else 4
    history: float = 24 * params.history if params.optimizer == "lbfgs" else 24
    history += 12 if params.averaging > 0 else 0
    # The pixels in grey and their gradient, and the content's colours; measured in fp32 at 192 px: 21.
    history += 36 if params.preserve_color == "luminance" else 0
    history += REGION * (REGIONS if params.content_mask else params.transparency == "keep")
    history += sum((size + DIFFERENCES) * _width(layer) * _share(layer) for layer in _of_content(params))
    if saving == "tiles":
        return history + WORKING_IN_TILES
    if saving == "checkpoint":
        return history + WORKING_IN_STRIPS[0] + WORKING_IN_STRIPS[1] * size
    return history + _of_activations(params, size)


def bytes_of_tile(params: StyleParams, precision: str, shape: tuple[int, int]) -> float:
    """Return the memory that the activations of one tile take, in bytes per sample.

    Args:
        params: of the transfer.
        precision: of the convolutions: `fp32`, `tf32` or `bf16`.
        shape: (height, width) of the output, pixels.
    """
    deepest = _through(params)[-1]
    halo = beyond(deepest) << int(deepest[4]) - 1
    # The last one may be larger than the others, by less than the pixels of one position of the deepest layer.
    height, width = (min(side, TILE + 16 + 2 * halo) for side in shape)
    return height * width * _of_activations(params, 2 if precision == "bf16" else 4)


def _of_activations(params: StyleParams, size: int) -> float:
    """Return the bytes per pixel of a pass that keeps activations of `size` bytes a value, and what belongs to it."""
    through = _through(params)
    whole = {*_of_style(params), *_of_content(params)}
    if params.pooling == "max":  # which position was the largest is found again
        whole |= {layer for layer, after in itertools.pairwise(through) if layer[4] != after[4]}
    kept = (_width(layer) * _share(layer) * (size if layer in whole else 1) for layer in through if layer != "conv1_1")
    return sum(kept) + WORKING[0] + WORKING[1] * size


def macs_per_pixel(params: StyleParams) -> float:
    """Return the multiply-adds of the forward convolutions, per pixel of one evaluation; backward takes as many."""
    total, before = 0.0, 3
    for layer in _through(params):
        total += 9 * before * _width(layer) * _share(layer)
        before = _width(layer)
    return total


def bytes_of_statistics(params: StyleParams) -> float:
    """Return the memory that the statistics of features take beside `bytes_per_pixel`, in bytes per sample."""
    return 4.0 * MATRICES[params.statistics] * sum(_width(layer) ** 2 for layer in _of_style(params))


def macs_of_statistics(params: StyleParams) -> float:
    """Return the multiply-adds of one evaluation, forward and back, that do not depend on the size of the picture."""
    return PRODUCTS * sum(_width(layer) ** 3 for layer in _of_style(params)) if params.statistics == "w2" else 0.0


def _of_content(params: StyleParams) -> tuple[str, ...]:
    """Return the layers of the content loss, none where it takes no part."""
    return params.content_layers if params.content_weight > 0 else ()


def _of_style(params: StyleParams) -> tuple[str, ...]:
    """Return the layers of the style loss, none where it takes no part."""
    return params.style_layers if params.style_weight > 0 else ()


def _through(params: StyleParams) -> tuple[str, ...]:
    """Return the layers down to the deepest that takes part in the objective."""
    return LAYERS[: 1 + max(LAYERS.index(layer) for layer in params.layers)]


def _width(layer: str) -> int:
    """Return the number of filters of a layer."""
    return WIDTHS[int(layer[4]) - 1]


def _share(layer: str) -> float:
    """Return the number of positions of a layer per pixel of the picture."""
    return 0.25 ** (int(layer[4]) - 1)
