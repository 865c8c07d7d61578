"""One pass through the convolutions and back, with no more work and memory than its gradient needs.

Autograd would keep what it could recompute for nothing (inputs of poolings, features in fp32, gradients of every layer
at once) and multiply each Gram matrix's gradient twice. Here an activation is kept once, in the type of the
convolutions; a Gram matrix sends back its own small gradient, which meets the activation on the way down; and
everything is let go as soon as it was used.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

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
        checkpoint: keep only what each block begins with, and compute the rest again on the way back: a third more
            time, less than half of the memory.
    """

    features: tuple[str, ...]
    grams: tuple[str, ...]
    blocks: tuple[tuple[str, ...], ...]
    pooling: Literal["avg", "max"]
    dtype: torch.dtype
    checkpoint: bool = False

    def pool(self, x: Tensor) -> Tensor:
        """2 x 2 pooling; an odd last row or column is left out."""
        return nnf.avg_pool2d(x, 2) if self.pooling == "avg" else nnf.max_pool2d(x, 2)

    def pool_back(self, g: Tensor, x: Tensor) -> Tensor:
        """The gradient of what was pooled, x, from that of the result; for averages only the shape of x matters."""
        if self.pooling == "avg":
            odd = x.shape[-1] % 2, x.shape[-2] % 2
            return nnf.pad(nnf.interpolate(g * 0.25, scale_factor=2, mode="nearest"), (0, odd[0], 0, odd[1]))
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (found,) = torch.autograd.grad(self.pool(x), x, g)
        return found


class Pass(torch.autograd.Function):
    """Pixels x (B, 3, H, W) to the features and then the Gram matrices per position that a `Request` names.

    Both come in the type of x: features (B, N, H', W'), Gram matrices (B, N, N). Differentiable once, in x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, network: Convolutions, request: Request, keep: bool) -> tuple[Tensor, ...]:
        """`keep`: whether there will be a way back."""
        kept: list[Any] = []
        features: dict[str, Tensor] = {}
        grams: dict[str, Tensor] = {}
        entry = network.normalise(x)
        for layers in request.blocks:
            if layers != request.blocks[0]:
                entry = request.pool(entry)
            activations = _block(entry, layers, network, request.dtype)
            if keep:
                kept.append(entry if request.checkpoint else dict(activations))
            for layer in layers:
                if layer in request.features:
                    features[layer] = activations[layer].to(x.dtype, copy=True)
                if layer in request.grams:
                    grams[layer] = gram_per_position(activations[layer], x.dtype)
            entry = activations[layers[-1]]
        if keep and not request.checkpoint:
            del kept[0]["conv1_1"]  # the largest, and half a percent of the work: done again when it is needed
        ctx.network, ctx.request, ctx.kept, ctx.x = network, request, kept, x
        return (*(features[layer] for layer in request.features), *(grams[layer] for layer in request.grams))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """From the gradients of what `forward` returned to that of x, deepest block first."""
        network, request, kept = ctx.network, ctx.request, ctx.kept
        if not kept:
            raise RuntimeError("what a pass keeps is used up by its first way back: pass the pixels through again")
        of_features = dict(zip(request.features, gradients, strict=False))
        of_grams = dict(zip(request.grams, gradients[len(request.features) :], strict=True))
        g: Tensor | None = None
        for layers in reversed(request.blocks):
            activations = kept.pop()
            if request.checkpoint:
                activations = _block(activations, layers, network, request.dtype)
            if g is not None:
                g = request.pool_back(g, activations[layers[-1]])
            for layer in reversed(layers):
                if layer not in activations:
                    activations |= _block(network.normalise(ctx.x), (layer,), network, request.dtype)
                F = activations.pop(layer)
                if layer in of_features:
                    g = _plus(g, of_features[layer].to(F, memory_format=torch.channels_last, copy=True))
                if layer in of_grams:
                    g = _plus_gram_term(g, F, of_grams[layer])
                assert g is not None  # the deepest layer is always one that was asked for
                torch.ops.aten.threshold_backward.grad_input(g, F, 0, grad_input=g)  # the ReLU, in place
                del F
                g = network.convolve_back(g, layer, request.dtype)
        assert g is not None
        return network.normalise_back(g), None, None, None


def gram_per_position(F: Tensor, dtype: torch.dtype) -> Tensor:
    """G/M = F Fᵀ/M (eq. 3) of an activation (B, N, H, W): (B, N, N), accumulated and returned in `dtype`."""
    columns = _positions(F)
    if F.is_cuda and F.dtype != dtype:
        G = torch.bmm(columns.mT, columns, out_dtype=dtype)
    else:
        columns = columns.to(dtype)
        G = columns.mT @ columns
    return G / columns.shape[1]


def _plus_gram_term(g: Tensor | None, F: Tensor, dG: Tensor) -> Tensor:
    """g + ∂L/∂F from the gradient dG (B, N, N) of G/M: (dG + dGᵀ)·F/M, as in eq. 6."""
    columns = _positions(F)
    symmetric = ((dG + dG.mT) / columns.shape[1]).to(F.dtype)
    term = columns @ symmetric if g is None else _positions(g).baddbmm_(columns, symmetric)
    return term.view(len(F), *F.shape[2:], F.shape[1]).permute(0, 3, 1, 2)


def _positions(F: Tensor) -> Tensor:
    """(B, N, H, W) as (B, M, N), which for channels-last is how it lies in memory."""
    return F.permute(0, 2, 3, 1).flatten(1, 2)


def _plus(a: Tensor | None, b: Tensor) -> Tensor:
    return b if a is None else a.add_(b)


def _block(x: Tensor, layers: tuple[str, ...], network: Convolutions, dtype: torch.dtype) -> dict[str, Tensor]:
    """Activations after the ReLU of the layers of one block."""
    activations = {}
    for layer in layers:
        # In place: nothing needs the value before the ReLU.
        x = activations[layer] = network.convolve(x, layer, dtype).relu_()
    return activations
