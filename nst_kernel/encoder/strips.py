"""VGG-19's first block in horizontal strips, for pictures whose activations would not fit into memory.

Half of a pass's memory is needed at full resolution. A strip is computed with the two rows around it that its two
convolutions look at, so that the sum over strips is the whole; on the way back each strip is computed once more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nst_kernel.encoder import ring
from nst_kernel.encoder.request import Convolutions, Request
from nst_kernel.encoder.ring import Border

ROWS, HALO = 64, 2
"""Rows of a strip (even, so that no pooling straddles two) and rows around it on each side."""


def forward(x: Tensor, network: Convolutions, request: Request) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the pooled result of the first block, and the statistics of its layers, of pixels x (B, 3, H, W)."""
    pooled: list[Tensor] = []
    totals: dict[str, Tensor] = {}
    for rows, _, activations in _strips(x, network, request):
        pooled.append(request.pooled(activations[request.blocks[0][-1]]))
        for layer, F in activations.items():
            for name, whole in request.of_layer(layer):
                statistic, M = whole.part(rows.own, slice(None)), F[0, 0].numel()
                totals[name] = statistic.add(totals.get(name), statistic.of(F, M, x.dtype), M)
    M = x.shape[-2] * x.shape[-1]
    means = {name: request.statistics[name].mean(total, M) for name, total in totals.items()}
    return torch.cat(pooled, dim=2), means


def backward(
    x: Tensor, g: Tensor, of_statistics: Mapping[str, Tensor], network: Convolutions, request: Request
) -> Tensor:
    """Return the gradient of pixels x from those of the first block's pooled result and statistics.

    Args:
        x: pixels (B, 3, H, W).
        g: gradient of the pooled result of the first block.
        of_statistics: by name, the gradient of each statistic.
        network: the convolutions.
        request: of the pass.
    """
    of_pixels = torch.zeros_like(x, memory_format=torch.contiguous_format)
    M = x.shape[-2] * x.shape[-1]
    with torch.enable_grad():
        for rows, strip, activations in _strips(x, network, request):
            start = rows.start
            above = request.pooled(activations[request.blocks[0][-1]])
            outputs, gradients = [above], [g[:, :, start // 2 : start // 2 + above.shape[2]]]
            for layer, F in activations.items():
                for name, whole in request.of_layer(layer):
                    statistic = whole.part(rows.own, slice(None))
                    outputs.append(F)
                    gradients.append(statistic.back(F.detach(), of_statistics[name], M, border="zero"))
            (of_strip,) = torch.autograd.grad(outputs, strip, gradients)
            of_parts = torch.split(of_strip, [len(part) for part in rows.read], dim=2)
            for part, of_part in zip(rows.read, of_parts, strict=True):
                of_pixels[:, :, part.start : part.stop] += of_part
    return of_pixels


@dataclass(frozen=True)
class _Rows:
    """The rows of a strip.

    Attributes:
        start: its first row.
        end: the row behind its last one.
        read: the rows of pixels that it is computed from, with the halo: runs of consecutive ones.
    """

    start: int
    end: int
    read: tuple[range, ...]

    @property
    def own(self) -> slice:
        """The rows of the strip itself, without its halo."""
        return slice(self.start, self.end)

    @property
    def above(self) -> int:
        """How many rows of the halo lie above the first row of the strip."""
        return HALO if len(self.read) > 1 else self.start - self.read[0].start


def _rows(height: int, border: Border) -> Iterator[_Rows]:
    """Yield the rows of each strip of a picture."""
    for start in range(0, height - height % 2, ROWS):
        # An odd last row belongs to the strip before it: no pooling keeps it, but a statistic does.
        end = height if height - start - ROWS < 2 else start + ROWS
        low, high = start - HALO, end + HALO
        within = range(max(0, low), min(high, height))
        if border == "circular":  # beyond the border lies the other side
            runs = (range(low % height, height) if low < 0 else range(0), within, range(max(0, high - height)))
            yield _Rows(start, end, tuple(run for run in runs if run))
        else:
            yield _Rows(start, end, (within,))
        if end == height:
            return


def _strips(x: Tensor, network: Convolutions, request: Request) -> Iterator[tuple[_Rows, Tensor, dict[str, Tensor]]]:
    """Yield the rows of each strip, its pixels with the halo, and its activations."""
    for rows in _rows(x.shape[-2], request.border):
        parts = [x[:, :, run.start : run.stop] for run in rows.read]
        pixels = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
        strip = pixels.detach().requires_grad_(torch.is_grad_enabled())
        h, activations = network.normalise(strip), {}
        for layer in request.blocks[0]:
            filters = network.filters(layer, request.dtype)
            h = filters.convolve(ring.enclose(h, request.border), 1 - ring.width(request.border)).relu()
            activations[layer] = h[:, :, rows.above : rows.above + rows.end - rows.start]
        yield rows, strip, activations
