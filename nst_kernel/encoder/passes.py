"""One pass through the convolutions and back, with no more work and memory than its gradient needs.

Autograd would keep what can be recomputed at no cost (inputs of poolings, features in fp32, gradients of every layer
at once) and multiply each Gram matrix's gradient twice. Here an activation is kept once, in the type of the
convolutions; a statistic sends back its own small gradient, which meets the activation on the way back; everything is
released as soon as it was used.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nst_kernel.encoder import strips
from nst_kernel.encoder.request import Convolutions, Request


class Pass(torch.autograd.Function):
    """Pixels x (B, 3, H, W) to the features, and then the statistics, that a `Request` names.

    Both come in the type of x: features (B, N, H', W'), Gram matrices (B, N, N). Differentiable once, in x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, network: Convolutions, request: Request, keep: bool) -> tuple[Tensor, ...]:
        """Compute features and statistics; `keep` says whether there will be a way back."""
        kept: list[Any] = []
        features: dict[str, Tensor] = {}
        statistics: dict[str, Tensor] = {}
        if request.strips:
            entry, statistics = strips.forward(x, network, request)
        else:
            entry = network.normalise(x)
        for layers in request.blocks[1:] if request.strips else request.blocks:
            activations = _block(entry, layers, network, request)
            if keep:
                kept.append(entry if request.checkpoint else dict(activations))
            for layer in layers:
                if layer in request.features:
                    features[layer] = activations[layer].to(x.dtype, copy=True)
                if layer in request.statistics:
                    statistics[layer] = request.statistics[layer].of(activations[layer], x.dtype)
            if layers != request.blocks[-1]:
                entry = request.pool(activations[layers[-1]])
        if keep and not request.checkpoint:
            del kept[0]["conv1_1"]  # the largest, and half a percent of the work: computed again when it is needed
        ctx.network, ctx.request, ctx.kept, ctx.x = network, request, kept, x
        return (*(features[layer] for layer in request.features), *(statistics[layer] for layer in request.statistics))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """Compute the gradient of x from the gradients of the outputs of `forward`, deepest block first."""
        network, request, kept = ctx.network, ctx.request, ctx.kept
        if not kept:
            raise RuntimeError("what a pass keeps is used up by its first way back: pass the pixels through again")
        of_features = dict(zip(request.features, gradients, strict=False))
        of_statistics = dict(zip(request.statistics, gradients[len(request.features) :], strict=True))
        g: Tensor | None = None
        for layers in reversed(request.blocks[1:] if request.strips else request.blocks):
            activations = kept.pop()
            if request.checkpoint:
                activations = _block(activations, layers, network, request)
            if g is not None:
                g = request.pool_back(g, activations[layers[-1]])
            for layer in reversed(layers):
                if layer not in activations:
                    activations |= _block(network.normalise(ctx.x), (layer,), network, request)
                F = activations.pop(layer)
                if layer in of_features:
                    g = _plus(g, of_features[layer].to(F, memory_format=torch.channels_last, copy=True))
                if layer in of_statistics:
                    g = request.statistics[layer].back(F, of_statistics[layer], F[0, 0].numel(), plus=g)
                assert g is not None  # the deepest layer is always one that is wanted
                torch.ops.aten.threshold_backward.grad_input(g, F, 0, grad_input=g)  # the ReLU, in place
                del F
                g = network.convolve_back(g, layer, request)
        assert g is not None
        if request.strips:
            return strips.backward(ctx.x, g, of_statistics, network, request), None, None, None
        return network.normalise_back(g), None, None, None


def _plus(a: Tensor | None, b: Tensor) -> Tensor:
    """Add b onto a in place, if there is an a."""
    return b if a is None else a.add_(b)


def _block(x: Tensor, layers: tuple[str, ...], network: Convolutions, request: Request) -> dict[str, Tensor]:
    """Return the activations after the ReLU of the layers of one block, whose input is x."""
    activations = {}
    for layer in layers:
        # In place: nothing needs the value before the ReLU.
        x = activations[layer] = network.convolve(x, layer, request).relu_()
    return activations
