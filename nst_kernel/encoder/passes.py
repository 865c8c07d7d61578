"""One pass through the convolutions and back, with no more work and memory than its gradient needs.

Autograd would keep what can be recomputed at no cost (inputs of poolings, features in fp32, gradients of every layer
at once) and multiply each Gram matrix's gradient twice. Here an activation is kept once, in the type of the
convolutions, or its signs alone where nothing else is needed; a statistic sends back its own small gradient, which
meets the activation on the way back; everything is released as soon as it was used.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nst_kernel.encoder import ring, strips
from nst_kernel.encoder.relu import relu_back
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
            pooled, statistics = strips.forward(x, network, request)
            entry = ring.enclose(pooled, request.border)
        else:
            entry = network.entry(x, request)
        for layers in request.blocks[1:] if request.strips else request.blocks:
            activations: dict[str, Tensor] = {}
            for layer, F in _activations(entry, layers, network, request):
                if layer != "conv1_1":  # the largest, and half a percent of the work: computed again when it is needed
                    activations[layer] = F
                within = ring.inner(F, request.border)
                if layer in request.features:
                    features[layer] = within.to(x.dtype, memory_format=torch.channels_last, copy=True)
                for name, statistic in request.of_layer(layer):
                    ring.clear(F, request.border)
                    statistics[name] = statistic.of(F, within[0, 0].numel(), x.dtype)
            start, last = entry, layers[-1] if layers != request.blocks[-1] else ""
            if last:
                entry = ring.fill(request.pool(activations[last]), request.border)
            if keep:
                kept.append(start if request.checkpoint else request.kept(activations, last))
            del start, F, within, activations  # of which a part may be kept
        ctx.network, ctx.request, ctx.kept, ctx.x = network, request, kept, x
        return (*(features[layer] for layer in request.features), *(statistics[name] for name in request.statistics))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """Compute the gradient of x from the gradients of the outputs of `forward`, deepest block first."""
        network, request, kept = ctx.network, ctx.request, ctx.kept
        if not kept:
            raise RuntimeError("what a pass keeps is used up by its first way back: pass the pixels through again")
        of_features = dict(zip(request.features, gradients, strict=False))
        of_statistics = dict(zip(request.statistics, gradients[len(request.features) :], strict=True))
        border, g = request.border, None
        for layers in reversed(request.blocks[1:] if request.strips else request.blocks):
            activations = kept.pop()
            if request.checkpoint:
                activations = dict(_activations(activations, layers, network, request))
            pooled = g is not None
            if g is not None:
                g = request.pool_back(g, activations[layers[-1]])
            for layer in reversed(layers):
                if layer not in activations:
                    activations |= _activations(network.entry(ctx.x, request), (layer,), network, request)
                F = activations.pop(layer)
                if layer in of_features:
                    g = torch.zeros_like(F) if g is None else g
                    ring.inner(g, border).add_(of_features[layer])
                with_statistics = False
                for name, statistic in request.of_layer(layer):
                    M, with_statistics = ring.inner(F, border)[0, 0].numel(), True
                    g = statistic.back(F, of_statistics[name], M, plus=g, border=border)
                assert g is not None  # the deepest layer is always one that is wanted
                if not with_statistics and (layer in of_features or not pooled):
                    g = relu_back(g, F, border)
                del F
                g, pooled = ring.fold(network.filters(layer, request.dtype).back(g), border), False
        assert g is not None
        g = ring.inner(g, border)
        if request.strips:
            return strips.backward(ctx.x, g, of_statistics, network, request), None, None, None
        return network.normalise_back(g), None, None, None


def _activations(
    x: Tensor, layers: tuple[str, ...], network: Convolutions, request: Request
) -> Iterator[tuple[str, Tensor]]:
    """Yield each layer of one block, whose input is x, with its activation after the ReLU.

    A ring is written once the next layer is asked for: until then there is no meaning in it, and it may be changed.
    """
    for layer in layers:
        x = network.filters(layer, request.dtype).activate(x)
        yield layer, x
        ring.fill(x, request.border)
