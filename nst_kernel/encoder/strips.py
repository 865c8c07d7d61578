"""VGG-19's first block in horizontal strips, for pictures whose activations would not fit into memory.

Half of a pass's memory is needed at full resolution. A strip is computed with the two rows around it that its two
convolutions look at, so that the sum over strips is the whole; on the way back each strip is computed once more.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from nst_kernel.encoder.request import Convolutions, Request
from nst_kernel.encoder.statistics import gram_per_position, gram_term

ROWS, HALO = 64, 2
"""Rows of a strip (even, so that no pooling straddles two) and beyond it on each side."""


def forward(x: Tensor, network: Convolutions, request: Request) -> tuple[Tensor, dict[str, Tensor]]:
    """What follows the first block, pooled, and the Gram matrices per position of its layers, of pixels x."""
    pooled: list[Tensor] = []
    sums: dict[str, Tensor] = {}
    for _, _, _, activations in _strips(x, network, request):
        pooled.append(request.pool(activations[request.blocks[0][-1]]))
        for layer, F in activations.items():
            if layer in request.grams:
                G = gram_per_position(F, x.dtype) * F[0, 0].numel()
                sums[layer] = G if layer not in sums else sums[layer].add_(G)
    M = x.shape[-2] * x.shape[-1]
    return torch.cat(pooled, dim=2), {layer: G / M for layer, G in sums.items()}


def backward(x: Tensor, g: Tensor, of_grams: Mapping[str, Tensor], network: Convolutions, request: Request) -> Tensor:
    """The gradient of pixels x from that of the pooled block, g, and those of its Gram matrices."""
    found = torch.zeros_like(x, memory_format=torch.contiguous_format)
    M = x.shape[-2] * x.shape[-1]
    with torch.enable_grad():
        for start, low, strip, activations in _strips(x, network, request):
            above = request.pool(activations[request.blocks[0][-1]])
            outputs, gradients = [above], [g[:, :, start // 2 : start // 2 + above.shape[2]]]
            for layer, dG in of_grams.items():
                if layer in activations:
                    outputs.append(activations[layer])
                    gradients.append(gram_term(activations[layer].detach(), dG, M))
            (of_strip,) = torch.autograd.grad(outputs, strip, gradients)
            found[:, :, low : low + strip.shape[2]] += of_strip
    return found


def _strips(x: Tensor, network: Convolutions, request: Request) -> Iterator[tuple[int, int, Tensor, dict[str, Tensor]]]:
    """Each strip's first row, the first row of its pixels, its pixels with the halo, and its own activations."""
    height = x.shape[-2]
    for start in range(0, height - height % 2, ROWS):
        # An odd last row belongs to the strip before it: no pooling keeps it, but a Gram matrix does.
        end = height if height - start - ROWS < 2 else start + ROWS
        low = max(0, start - HALO)
        strip = x[:, :, low : end + HALO].detach().requires_grad_(torch.is_grad_enabled())
        h, activations = network.normalise(strip), {}
        for layer in request.blocks[0]:
            h = network.convolve(h, layer, request.dtype).relu()
            activations[layer] = h[:, :, start - low : end - low]
        yield start, low, strip, activations
        if end == height:
            return
