"""The request that one pass through the convolutions serves, and what it needs of an encoder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as nnf
from torch import Tensor

from nst_kernel.encoder.statistics import Statistic

Border = Literal["zero", "replicate", "reflect"]
"""Padding of each convolution: zeros, as VGG was trained, the nearest pixel, or the picture as in a mirror."""


@dataclass(frozen=True)
class Request:
    """What one pass through the encoder computes, and how.

    Attributes:
        features: layers whose activations are returned.
        statistics: by layer, the statistic that is returned.
        blocks: every layer up to the deepest that is wanted, by block.
        pooling: between blocks.
        dtype: of the convolutions.
        border: padding of the convolutions.
        checkpoint: keep only the input of each block, compute the rest again on the way back, and the first block in
            strips: a third more time, the least memory.
    """

    features: tuple[str, ...]
    statistics: Mapping[str, Statistic]
    blocks: tuple[tuple[str, ...], ...]
    pooling: Literal["avg", "max"]
    dtype: torch.dtype
    border: Border = "zero"
    checkpoint: bool = False

    @property
    def strips(self) -> bool:
        """Whether the first block is computed in strips: not if its activations are returned, or it is the only one."""
        return self.checkpoint and len(self.blocks) > 1 and not set(self.features) & set(self.blocks[0])

    def pool(self, x: Tensor) -> Tensor:
        """Pool 2 x 2 positions of x (B, N, H, W) into one; an odd last row or column is left out."""
        return nnf.avg_pool2d(x, 2) if self.pooling == "avg" else nnf.max_pool2d(x, 2)

    def pool_back(self, g: Tensor, x: Tensor) -> Tensor:
        """Return the gradient of what was pooled, x, from the gradient g of the result."""
        if self.pooling == "avg":
            g = nnf.interpolate(g * 0.25, scale_factor=2, mode="nearest")
            odd_row, odd_column = x.shape[-2] % 2, x.shape[-1] % 2
            return nnf.pad(g, (0, odd_column, 0, odd_row)) if odd_row or odd_column else g
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.pool(x), x, g)
        return gradient


class Convolutions(Protocol):
    """The part of an encoder that a pass uses."""

    def normalise(self, x: Tensor) -> Tensor:
        """Return pixels (B, 3, H, W) in [0, 1] as the first convolution expects them."""

    def normalise_back(self, g: Tensor) -> Tensor:
        """Return the gradient of pixels from that of their normalised values."""

    def convolve(self, x: Tensor, layer: str, request: Request) -> Tensor:
        """Return a layer's activation before the ReLU, in the request's dtype, with its border."""

    def convolve_back(self, g: Tensor, layer: str, request: Request) -> Tensor:
        """Return the gradient of a layer's input from that of its activation before the ReLU."""
