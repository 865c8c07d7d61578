"""The request that one pass through the convolutions serves, and what it needs of an encoder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as nnf
from torch import Tensor

from nst_kernel import gpu
from nst_kernel.encoder import ring
from nst_kernel.encoder.filters import Filters
from nst_kernel.encoder.relu import relu_back, signs
from nst_kernel.encoder.ring import Border
from nst_kernel.encoder.statistics import Statistic


@dataclass(frozen=True)
class Request:
    """What one pass through the encoder computes, and how.

    Attributes:
        features: layers whose activations are returned.
        statistics: by name, the statistic that is returned; the name is that of a layer, or begins with it and a slash.
        blocks: every layer up to the deepest that is wanted, by block.
        pooling: between blocks.
        dtype: of the convolutions.
        border: padding of the convolutions.
        checkpoint: keep only the input of each block, compute the rest again on the way back, and the first block in
            strips: a third more time, less than half the memory.
        tile: side in pixels of the tiles that a larger picture is computed in, so that memory does not grow with it;
            half more time, and what their halos add. 0: whole.
    """

    features: tuple[str, ...]
    statistics: Mapping[str, Statistic]
    blocks: tuple[tuple[str, ...], ...]
    pooling: Literal["avg", "max"]
    dtype: torch.dtype
    border: Border = "zero"
    checkpoint: bool = False
    tile: int = 0

    def of_layer(self, layer: str) -> Iterator[tuple[str, Statistic]]:
        """Yield the names and statistics of one layer."""
        for name, statistic in self.statistics.items():
            if layer_of(name) == layer:
                yield name, statistic

    @property
    def strips(self) -> bool:
        """Whether the first block is computed in strips: not if its activations are returned, or it is the only one."""
        return self.checkpoint and len(self.blocks) > 1 and not set(self.features) & set(self.blocks[0])

    def kept(self, activations: Mapping[str, Tensor], pooled: str) -> dict[str, Tensor]:
        """Return what the way back needs of activations by layer: their signs, unless something is made of them.

        Args:
            activations: of one block, after the ReLU.
            pooled: its layer that is pooled, of which maxima have to be found again; empty: none.
        """
        whole = {*self.features, *map(layer_of, self.statistics), *([pooled] if self.pooling == "max" else [])}
        return {layer: F if layer in whole else signs(F) for layer, F in activations.items()}

    def pool(self, x: Tensor) -> Tensor:
        """Pool 2 x 2 positions of activations with their ring; the result has room for a ring.

        An odd last row or column is left out.
        """
        if self.pooling == "avg" and gpu.serves(x):
            return gpu.pool(x, ring.width(self.border))
        return self.pooled(x, padding=ring.width(self.border))

    def pooled(self, x: Tensor, padding: int = 0) -> Tensor:
        """Pool 2 x 2 positions of x (B, N, H, W) into one; autograd finds the way back."""
        return nnf.avg_pool2d(x, 2, padding=padding) if self.pooling == "avg" else nnf.max_pool2d(x, 2, padding=padding)

    def pool_back(self, g: Tensor, F: Tensor) -> Tensor:
        """Return the gradient before the ReLU of what was pooled, F, from that of the result; its ring is zero.

        For average pooling, F may be the signs of the activations.
        """
        if self.pooling == "avg" and gpu.serves(g):  # a ring around it counts as zero there
            return gpu.pool_back(g, F, ring.width(self.border))
        g = ring.clear(g, self.border)
        if self.pooling == "max":
            with torch.enable_grad():
                x = F.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(self.pooled(x, ring.width(self.border)), x, g)
            return relu_back(gradient, F, self.border)
        gradient = _spread(ring.inner(g, self.border) * 0.25, torch.empty_like(F, dtype=g.dtype), self.border)
        return relu_back(gradient, F, self.border)


def layer_of(name: str) -> str:
    """Return the layer whose statistic has this name."""
    return name.partition("/")[0]


def _spread(g: Tensor, result: Tensor, border: Border) -> Tensor:
    """Write each position of g to the four of its window in `result`, and zero elsewhere; return `result`."""
    width, (height, breadth) = ring.width(border), g.shape[2:]
    bottom, right = width + 2 * height, width + 2 * breadth
    windows = result[:, :, width:bottom, width:right]
    for axis, side in ((3, breadth), (2, height)):
        windows = torch.unflatten(windows, axis, (side, 2))
    windows.copy_(g[:, :, :, None, :, None])
    for beyond in (result[:, :, bottom:], result[:, :, :, right:]):
        beyond.zero_()
    return result


class Convolutions(Protocol):
    """The part of an encoder that a pass uses."""

    def normalise(self, x: Tensor) -> Tensor:
        """Return pixels (B, 3, H, W) in [0, 1] as the first convolution expects them."""

    def entry(self, x: Tensor, request: Request) -> Tensor:
        """Return what the first convolution reads of pixels (B, 3, H, W) in [0, 1], with its ring."""

    def normalise_back(self, g: Tensor) -> Tensor:
        """Return the gradient of pixels from that of their normalised values."""

    def filters(self, layer: str, dtype: torch.dtype) -> Filters:
        """Return a layer's filters for convolutions in `dtype`."""
