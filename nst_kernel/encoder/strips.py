"""VGG-19's first block in horizontal strips, for pictures whose activations would not fit into memory.

Half of a pass's memory is needed at full resolution. A strip is computed with the two rows around it that its two
convolutions look at, so that the sum over strips is the whole; on the way back each strip is computed once more.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from nst_kernel.encoder import ring
from nst_kernel.encoder.request import Convolutions, Request

ROWS, HALO = 64, 2
"""Rows of a strip (even, so that no pooling straddles two) and rows around it on each side."""


def forward(x: Tensor, network: Convolutions, request: Request) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the pooled result of the first block, and the statistics of its layers, of pixels x (B, 3, H, W)."""
    pooled: list[Tensor] = []
    totals: dict[str, Tensor] = {}
    for _, _, _, activations in _strips(x, network, request):
        pooled.append(request.pooled(activations[request.blocks[0][-1]]))
        for layer, F in activations.items():
            if layer in request.statistics:
                statistic = request.statistics[layer]
                M = F[0, 0].numel()
                totals[layer] = statistic.add(totals.get(layer), statistic.of(F, M, x.dtype), M)
    M = x.shape[-2] * x.shape[-1]
    means = {layer: request.statistics[layer].mean(total, M) for layer, total in totals.items()}
    return torch.cat(pooled, dim=2), means


def backward(
    x: Tensor, g: Tensor, of_statistics: Mapping[str, Tensor], network: Convolutions, request: Request
) -> Tensor:
    """Return the gradient of pixels x.

    Args:
        x: pixels (B, 3, H, W).
        g: gradient of the pooled result of the first block.
        of_statistics: by layer, the gradient of its statistic.
        network: the convolutions.
        request: of the pass.
    """
    of_pixels = torch.zeros_like(x, memory_format=torch.contiguous_format)
    M = x.shape[-2] * x.shape[-1]
    with torch.enable_grad():
        for start, low, strip, activations in _strips(x, network, request):
            above = request.pooled(activations[request.blocks[0][-1]])
            outputs, gradients = [above], [g[:, :, start // 2 : start // 2 + above.shape[2]]]
            for layer, gradient in of_statistics.items():
                if layer in activations:
                    outputs.append(activations[layer])
                    gradients.append(
                        request.statistics[layer].back(activations[layer].detach(), gradient, M, border="zero")
                    )
            (of_strip,) = torch.autograd.grad(outputs, strip, gradients)
            of_pixels[:, :, low : low + strip.shape[2]] += of_strip
    return of_pixels


def _strips(x: Tensor, network: Convolutions, request: Request) -> Iterator[tuple[int, int, Tensor, dict[str, Tensor]]]:
    """Yield of each strip its first row, the first row of its pixels, its pixels with the halo, its activations."""
    height = x.shape[-2]
    for start in range(0, height - height % 2, ROWS):
        # An odd last row belongs to the strip before it: no pooling keeps it, but a statistic does.
        end = height if height - start - ROWS < 2 else start + ROWS
        low = max(0, start - HALO)
        strip = x[:, :, low : end + HALO].detach().requires_grad_(torch.is_grad_enabled())
        h, activations = network.normalise(strip), {}
        for layer in request.blocks[0]:
            filters = network.filters(layer, request.dtype)
            h = filters.convolve(ring.enclose(h, request.border), 1 - ring.width(request.border)).relu()
            activations[layer] = h[:, :, start - low : end - low]
        yield start, low, strip, activations
        if end == height:
            return
