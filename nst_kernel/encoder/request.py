"""What a pass through the convolutions is asked for, and what Gram matrices are on the way there and back."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as nnf
from torch import Tensor


class Convolutions(Protocol):
    """What a pass needs of an encoder."""

    def normalise(self, x: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) in [0, 1] as the first convolution wants them."""

    def normalise_back(self, g: Tensor) -> Tensor:
        """The gradient of pixels, from that of their normalised values."""

    def convolve(self, x: Tensor, layer: str, dtype: torch.dtype) -> Tensor:
        """A layer's activation before the ReLU."""

    def convolve_back(self, g: Tensor, layer: str, dtype: torch.dtype) -> Tensor:
        """The gradient of a layer's input, from that of its activation before the ReLU."""


@dataclass(frozen=True)
class Request:
    """What a pass is asked for.

    Attributes:
        features: layers whose activations are returned.
        grams: layers whose Gram matrices per position are returned.
        blocks: every layer on the way, by block.
        pooling: between blocks.
        dtype: of the convolutions.
        checkpoint: keep only what each block begins with, compute the rest again on the way back, and the first block
            in strips: a third more time, the least memory.
    """

    features: tuple[str, ...]
    grams: tuple[str, ...]
    blocks: tuple[tuple[str, ...], ...]
    pooling: Literal["avg", "max"]
    dtype: torch.dtype
    checkpoint: bool = False

    @property
    def strips(self) -> bool:
        """Whether the first block is computed in strips: not if its activations are asked for, or nothing else is."""
        return self.checkpoint and len(self.blocks) > 1 and not set(self.features) & set(self.blocks[0])

    def pool(self, x: Tensor) -> Tensor:
        """2 x 2 pooling; an odd last row or column is left out."""
        return nnf.avg_pool2d(x, 2) if self.pooling == "avg" else nnf.max_pool2d(x, 2)

    def pool_back(self, g: Tensor, x: Tensor) -> Tensor:
        """The gradient of what was pooled, x, from that of the result."""
        if self.pooling == "avg":
            g = nnf.interpolate(g * 0.25, scale_factor=2, mode="nearest")
            odd_row, odd_column = x.shape[-2] % 2, x.shape[-1] % 2
            return nnf.pad(g, (0, odd_column, 0, odd_row)) if odd_row or odd_column else g
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (found,) = torch.autograd.grad(self.pool(x), x, g)
        return found
