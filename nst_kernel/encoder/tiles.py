"""Passes over pictures whose activations would not fit into memory, tile by tile, as exact as one over the whole.

The first pass adds the statistics of all tiles up to those of the picture. On the way back each tile is computed once
more and gets the gradient of the **global** statistics at its own positions, so that the gradients of all tiles add up
to that of the picture. Around its own pixels a tile has those that its deepest positions see, its halo: what the border
of a tile does to activations ends there, and only at the border of the picture is it the picture's.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nst_kernel.encoder import ring
from nst_kernel.encoder.passes import Pass
from nst_kernel.encoder.relu import relu_back
from nst_kernel.encoder.request import Convolutions, Request, layer_of
from nst_kernel.encoder.ring import Border
from nst_kernel.encoder.statistics import Statistic
from nst_kernel.layers import beyond


class TiledPass(torch.autograd.Function):
    """What `Pass` computes of pixels x (B, 3, H, W) and a `Request` with a `tile`, in the memory of one tile."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, network: Convolutions, request: Request, keep: bool) -> tuple[Tensor, ...]:
        """Compute features and statistics; whether there will be a way back or not, nothing is kept but the pixels."""
        features: dict[str, Tensor] = {}
        totals: dict[str, Tensor] = {}
        for tile in tiles_of(x, request):
            of_tile = iter(_apply(tile.read(x), network, tile.request(request, x), False))
            for layer in request.features:
                activations = next(of_tile)
                if layer not in features:
                    features[layer] = _memory_for(activations, layer, x)
                tile.own(features[layer], layer).copy_(tile.within(activations, layer))
            for name, statistic in request.statistics.items():
                totals[name] = statistic.add(totals.get(name), next(of_tile), tile.positions(layer_of(name)))
        ctx.network, ctx.request, ctx.x = network, request, x
        means = (
            statistic.mean(totals[name], positions(layer_of(name), x)) for name, statistic in request.statistics.items()
        )
        return (*(features[layer] for layer in request.features), *means)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """Compute the gradient of x, the sum of what each tile's own positions send back."""
        network, request, x = ctx.network, ctx.request, ctx.x
        of_pixels = torch.zeros_like(x, memory_format=torch.contiguous_format)
        count = len(request.features)
        for tile in tiles_of(x, request):
            with torch.enable_grad():
                pixels = tile.read(x).detach().requires_grad_()
                outputs = _apply(pixels, network, tile.request(request, x), True)
            # Of the features of the halo nothing is wanted; a statistic leaves it out by itself.
            of_features = [
                tile.spread(tile.own(g, layer), output, layer)
                for layer, g, output in zip(request.features, gradients, outputs, strict=False)
            ]
            (of_tile,) = torch.autograd.grad(outputs, pixels, [*of_features, *gradients[count:]])
            tile.add(of_tile, of_pixels)
        return of_pixels, None, None, None


def positions(layer: str, x: Tensor) -> int:
    """Return how many positions a layer has of pixels x (B, 3, H, W)."""
    down = _poolings(layer)
    return (x.shape[-2] >> down) * (x.shape[-1] >> down)


def _poolings(layer: str) -> int:
    """Return how often pixels are pooled before a layer."""
    return int(layer[4]) - 1


def _memory_for(activations: Tensor, layer: str, x: Tensor) -> Tensor:
    """Return memory for the activations of a layer of pixels x, in the type of those of a tile."""
    down = _poolings(layer)
    shape = (*activations.shape[:2], x.shape[-2] >> down, x.shape[-1] >> down)
    return torch.empty(shape, dtype=activations.dtype, device=x.device, memory_format=torch.channels_last)


@dataclass(frozen=True)
class _Span:
    """A tile along one axis.

    Attributes:
        start: its first pixel.
        end: the pixel behind its last one.
        read: the pixels that it is computed from, with the halo: runs of consecutive ones.
        before: how many of them lie before its first one.
    """

    start: int
    end: int
    read: tuple[range, ...]
    before: int

    def at(self, layer: str) -> slice:
        """Return the tile's own positions of a layer, counted in the whole picture."""
        return slice(self.start >> _poolings(layer), self.end >> _poolings(layer))

    def inside(self, layer: str) -> slice:
        """Return the tile's own positions of a layer, counted from the first that is computed, halo included."""
        at, before = self.at(layer), self.before >> _poolings(layer)
        return slice(before, before + at.stop - at.start)


@dataclass(frozen=True)
class _Tile:
    """A tile, by its rows and its columns."""

    rows: _Span
    columns: _Span

    def read(self, x: Tensor) -> Tensor:
        """Return the pixels that the tile is computed from, halo included, out of a picture (B, 3, H, W)."""
        parts = [
            torch.cat([x[:, :, down.start : down.stop, run.start : run.stop] for run in self.columns.read], 3)
            for down in self.rows.read
        ]
        return torch.cat(parts, 2)

    def add(self, g: Tensor, to: Tensor) -> None:
        """Add the gradient of the pixels that the tile is computed from to the picture's gradient, in place."""
        for down, rows in zip(self.rows.read, torch.split(g, [len(run) for run in self.rows.read], 2), strict=True):
            parts = torch.split(rows, [len(run) for run in self.columns.read], 3)
            for across, part in zip(self.columns.read, parts, strict=True):
                to[:, :, down.start : down.stop, across.start : across.stop] += part

    def positions(self, layer: str) -> int:
        """Return how many positions of a layer are the tile's own, without its halo."""
        rows, columns = self.rows.at(layer), self.columns.at(layer)
        return int((rows.stop - rows.start) * (columns.stop - columns.start))

    def own(self, F: Tensor, layer: str) -> Tensor:
        """Return a view of the tile's own positions in a layer of the whole picture (B, N, H', W')."""
        return F[:, :, self.rows.at(layer), self.columns.at(layer)]

    def within(self, F: Tensor, layer: str) -> Tensor:
        """Return a view of the tile's own positions in a layer that was computed with the halo."""
        return F[:, :, self.rows.inside(layer), self.columns.inside(layer)]

    def spread(self, g: Tensor, like: Tensor, layer: str) -> Tensor:
        """Return values for a layer with its halo: those that are given at the tile's own positions, else zero."""
        whole = torch.zeros_like(like)
        self.within(whole, layer).copy_(g)
        return whole

    def request(self, whole: Request, x: Tensor) -> Request:
        """Return the request for this tile that is a part of a request for a whole picture x (B, 3, H, W)."""
        statistics = {name: self._of_own(statistic, layer_of(name), x) for name, statistic in whole.statistics.items()}
        return replace(whole, statistics=statistics, checkpoint=False, tile=0)

    def _of_own(self, statistic: Statistic, layer: str, x: Tensor) -> "Own":
        """Return what the tile's own positions have of a layer's statistic of a whole picture x (B, 3, H, W)."""
        return Own(
            statistic.part(self.rows.at(layer), self.columns.at(layer)),
            (self.rows.inside(layer), self.columns.inside(layer)),
            self.positions(layer),
            positions(layer, x),
        )


@dataclass(frozen=True)
class Own:
    """A statistic of a tile's own positions, whose halo has no part in it.

    Attributes:
        inner: the statistic, as this part of the picture has it.
        window: rows and columns of the tile's own positions among those that are computed.
        positions: how many they are.
        whole: how many the picture has.
    """

    inner: Statistic
    window: tuple[slice, slice]
    positions: int
    whole: int

    def of(self, F: Tensor, M: int, dtype: torch.dtype) -> Tensor:
        """Return the statistic of the tile's own positions."""
        return self.inner.of(self._own(F, int(F.shape[2] * F.shape[3] > M)), self.positions, dtype)

    def back(self, F: Tensor, gradient: Tensor, M: int, *, plus: Tensor | None = None, border: Border) -> Tensor:
        """Return the gradient before the ReLU: the picture's statistic sends it to the tile's own positions alone."""
        width = ring.width(border)
        own = None if plus is None else self._own(plus, width)
        term = self.inner.back(self._own(F, width), gradient, self.whole, plus=own, border="zero")
        result = torch.zeros_like(F) if plus is None else relu_back(plus, F, border)
        self._view(result, width).copy_(term)
        return result

    def add(self, total: Tensor | None, part: Tensor, M: int) -> Tensor:
        """Add the inner statistic of one more part to a running total and return it."""
        return self.inner.add(total, part, M)

    def mean(self, total: Tensor, M: int) -> Tensor:
        """Return the inner statistic of the whole picture from the total over its parts."""
        return self.inner.mean(total, M)

    def part(self, rows: slice, columns: slice) -> "Own":
        """Return the statistic for a part of the tile, at these of the positions that are computed."""
        high, wide = _shared(self.window[0], rows), _shared(self.window[1], columns)
        return Own(
            self.inner.part(_after(self.window[0], high), _after(self.window[1], wide)),
            (_after(rows, high), _after(columns, wide)),
            (high.stop - high.start) * (wide.stop - wide.start),
            self.whole,
        )

    def _own(self, F: Tensor, width: int) -> Tensor:
        """Return a copy of activations, with a ring of this width, at the tile's own positions."""
        return self._view(F, width).clone(memory_format=torch.channels_last)  # one row of one sample is contiguous

    def _view(self, F: Tensor, width: int) -> Tensor:
        """Return a view of activations, with a ring of this width, at the tile's own positions."""
        rows, columns = (slice(window.start + width, window.stop + width) for window in self.window)
        return F[:, :, rows, columns]


def tiles_of(x: Tensor, request: Request) -> Iterator[_Tile]:
    """Yield the tiles of pixels x (B, 3, H, W), row by row.

    Raises:
        ValueError: for a picture that goes on at its other side, and whose sides are not pooled evenly.
    """
    deepest = request.blocks[-1][-1]
    step = 1 << _poolings(deepest)
    if request.border == "circular" and (x.shape[-2] % step or x.shape[-1] % step):
        raise ValueError(f"{x.shape[-1]} x {x.shape[-2]} px: expected sides that are multiples of {step}")
    side, halo = max(step, request.tile - request.tile % step), beyond(deepest) * step
    rows, columns = (
        list(_spans(length, side, halo, step, around=request.border == "circular")) for length in x.shape[-2:]
    )
    for down, across in itertools.product(rows, columns):
        yield _Tile(down, across)


def has_tiles(x: Tensor, request: Request) -> bool:
    """Return whether pixels x (B, 3, H, W) are more than one tile."""
    return bool(request.tile) and len(list(itertools.islice(tiles_of(x, request), 2))) > 1


def _spans(length: int, side: int, halo: int, step: int, *, around: bool) -> Iterator[_Span]:
    """Yield the tiles along an axis of so many pixels.

    Args:
        length: pixels of the axis.
        side: of a tile, a multiple of `step`.
        halo: pixels around a tile that it is computed from, a multiple of `step`.
        step: pixels along the axis of a position of the deepest layer, of which every tile has one at least.
        around: whether beyond the border lies the other side, or else nothing.
    """
    for start in range(0, length, side):
        end = length if length - start - side < step else start + side
        if around:
            read = tuple(_runs([at % length for at in range(start - halo, end + halo)]))
            yield _Span(start, end, read, halo)
        else:
            low = max(0, start - halo)
            yield _Span(start, end, (range(low, min(length, end + halo)),), start - low)
        if end == length:
            return


def _runs(pixels: list[int]) -> Iterator[range]:
    """Yield the runs of consecutive numbers."""
    first = 0
    for place in range(1, len(pixels) + 1):
        if place == len(pixels) or pixels[place] != pixels[place - 1] + 1:
            yield range(pixels[first], pixels[place - 1] + 1)
            first = place


_apply: Callable[..., tuple[Tensor, ...]] = Pass.apply


def _shared(own: slice, part: slice) -> slice:
    """Return the positions that are in both of two ranges; an empty range where there are none."""
    start = max(own.start, part.start or 0)
    return slice(start, max(start, own.stop if part.stop is None else min(own.stop, part.stop)))


def _after(whole: slice, part: slice) -> slice:
    """Return a range within another one, counted from the start of that."""
    first = whole.start or 0
    return slice(part.start - first, part.stop - first)
