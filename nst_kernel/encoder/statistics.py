"""Statistics of features that a style loss compares, and their gradients on the way back: Gram matrices and means."""

from collections.abc import Iterator
from typing import Protocol, Self

import torch
from torch import Tensor

from nst_kernel import gpu
from nst_kernel.encoder import ring
from nst_kernel.encoder.relu import relu_back
from nst_kernel.encoder.ring import Border


class Statistic(Protocol):
    """A statistic of a layer's activations, taken on the way through the network and sent back as a gradient.

    A statistic is a mean over positions, so that pictures of different sizes can be compared. It must be cheap to keep
    and to send back: a pass keeps activations once, and meets the statistic's own small gradient with them.
    """

    def of(self, F: Tensor, M: int, dtype: torch.dtype) -> Tensor:
        """Return the statistic of activations over M positions, accumulated and returned in `dtype`.

        Args:
            F: the activations (B, N, H, W); zero at more than M positions, where there is a ring around them.
            M: positions that count.
            dtype: of the statistic.
        """

    def back(self, F: Tensor, gradient: Tensor, M: int, *, plus: Tensor | None = None, border: Border) -> Tensor:
        """Return the gradient before the ReLU of activations from that of their statistic over M positions.

        Args:
            F: the activations (B, N, H, W) after the ReLU, or those of a part of a picture.
            gradient: of the statistic of the whole picture.
            M: positions of the whole picture.
            plus: a gradient of F that is added, and written over.
            border: whose ring F has; the result is zero there.
        """

    def add(self, total: Tensor | None, part: Tensor, M: int) -> Tensor:
        """Add the statistic of one more part of a picture, with M positions, to a running total and return it.

        Args:
            total: what this returned for the parts before; None at the first.
            part: the statistic of the part.
            M: positions of the part.
        """

    def mean(self, total: Tensor, M: int) -> Tensor:
        """Return the statistic of a whole picture of M positions from the total over its parts."""

    def part(self, rows: slice, columns: slice) -> "Statistic":
        """Return the statistic for a part of a picture, at these rows and columns of the layer's positions."""


class Gram:
    """The Gram matrix per position, G/M = F Fᵀ/M (B, N, N), of eq. 3."""

    def of(self, F: Tensor, M: int, dtype: torch.dtype) -> Tensor:
        """Return G/M (eq. 3) of activations F (B, N, H, W): (B, N, N), accumulated and returned in `dtype`."""
        if _has_kernels(F):
            return gpu.gram(F) / M
        columns = _by_position(F)
        if F.dtype == torch.bfloat16 and F.device.type == "cpu" and columns.shape[1] >= PIECES * PIECE:
            return _in_pieces(columns, dtype) / M
        columns = columns.to(dtype)
        return columns.mT @ columns / M

    def back(self, F: Tensor, gradient: Tensor, M: int, *, plus: Tensor | None = None, border: Border) -> Tensor:
        """Return (dG + dGᵀ)·F/M where F is positive, as in eq. 6, from the gradient dG (B, N, N) of G/M."""
        symmetric = ((gradient + gradient.mT) / M).to(F.dtype)
        if _has_kernels(F):
            return gpu.gram_back(F, symmetric, plus, ring.width(border))
        columns = _by_position(F)
        term = columns @ symmetric if plus is None else _by_position(plus).baddbmm_(columns, symmetric)
        return relu_back(term.view(len(F), *F.shape[2:], F.shape[1]).permute(0, 3, 1, 2), F, border)

    def add(self, total: Tensor | None, part: Tensor, M: int) -> Tensor:
        """Return the sum of Gram matrices over parts of a picture; `total` is changed in place."""
        return part * M if total is None else total.add_(part * M)

    def mean(self, total: Tensor, M: int) -> Tensor:
        """Return the sum over parts divided by the picture's M positions."""
        return total / M

    def part(self, rows: slice, columns: slice) -> Self:
        """Return this statistic, which is computed in one way for every part of a picture."""
        return self

    def weighted(self, F: Tensor, mask: Tensor, dtype: torch.dtype) -> Tensor:
        """Return F diag(t) Fᵀ in `dtype` of activations F (B, N, H, W) and masks t (B, 1, H, W) of their type."""
        return Gram.of(self, F * mask.sqrt(), 1, dtype)

    def add_weighted_back(self, result: Tensor, F: Tensor, mask: Tensor, gradient: Tensor) -> None:
        """Add the gradient of F, (dG + dGᵀ)·F diag(t), from that of `weighted` to `result` (B, N, H, W), in place."""
        symmetric = (gradient + gradient.mT).to(F.dtype)
        _by_position(result).baddbmm_(_by_position(F * mask), symmetric)


class Moments(Gram):
    """The Gram matrix per position and, as its last column, the mean over positions: (B, N, N + 1).

    They are the second and the first raw moment. Like the Gram matrix alone they are averages over positions, so that
    those of several pictures average to those of all their positions; a covariance follows from them.
    """

    def of(self, F: Tensor, M: int, dtype: torch.dtype) -> Tensor:
        """Return G/M and the mean F·1/M of activations F (B, N, H, W): (B, N, N + 1) in `dtype`."""
        mean = F.sum((2, 3), dtype=dtype) / M
        return torch.cat([super().of(F, M, dtype), mean.unsqueeze(2)], dim=2)

    def back(self, F: Tensor, gradient: Tensor, M: int, *, plus: Tensor | None = None, border: Border) -> Tensor:
        """Return the gradient before the ReLU, `Gram.back`'s plus dμ/M everywhere, from (dG, dμ) (B, N, N + 1)."""
        of_mean = (gradient[:, :, -1] / M).to(F.dtype)[:, :, None, None]
        if plus is None:
            plus = of_mean.expand_as(F).contiguous(memory_format=torch.channels_last)
        else:
            plus.add_(of_mean)
        return super().back(F, gradient[:, :, :-1], M, plus=plus, border=border)

    def weighted(self, F: Tensor, mask: Tensor, dtype: torch.dtype) -> Tensor:
        """Return F diag(t) Fᵀ and, as its last column, F t."""
        first = (F * mask).sum((2, 3), dtype=dtype)
        return torch.cat([super().weighted(F, mask, dtype), first.unsqueeze(2)], dim=2)

    def add_weighted_back(self, result: Tensor, F: Tensor, mask: Tensor, gradient: Tensor) -> None:
        """Add the gradient of F, that of `Gram.add_weighted_back` plus dμ tᵀ, from (dG, dμ) (B, N, N + 1)."""
        super().add_weighted_back(result, F, mask, gradient[:, :, :-1])
        result.addcmul_(gradient[:, :, -1].to(F.dtype)[:, :, None, None], mask)


class Distance:
    """The squared distance of activations from a target, per position: Σ (F − P)²/M (B,).

    As a statistic it needs no copy of the activations, of which the loss of a content layer (eq. 1) would take four.

    Attributes:
        target: P (B, N, H, W), or that of a part of a picture.
    """

    def __init__(self, target: Tensor) -> None:
        self.target = target

    def of(self, F: Tensor, M: int, dtype: torch.dtype) -> Tensor:
        """Return Σ (F − P)²/M of activations F (B, N, H, W): (B,), accumulated and returned in `dtype`."""
        if self._has_kernels(F):
            return gpu.distance(F, self.target, self._rings(F)[0]) / M
        sums = [difference.square_().sum((1, 2, 3)) for difference in self._differences(F, dtype)]
        return torch.stack(sums).sum(0) / M

    def back(self, F: Tensor, gradient: Tensor, M: int, *, plus: Tensor | None = None, border: Border) -> Tensor:
        """Return 2 (F − P)·dD/M where F is positive, as in eq. 2, from the gradient dD (B,) of the distance."""
        factor = 2 * gradient / M
        if self._has_kernels(F):
            return gpu.distance_back(F, self.target, factor, plus, self._rings(F)[0])
        result = torch.zeros_like(F) if plus is None else plus
        factor, into = factor[:, None, None, None], self._inside(result).chunk(CHUNKS, 2)
        for part, difference in zip(into, self._differences(F, gradient.dtype), strict=True):
            part.add_(difference.mul_(factor))
        return relu_back(result, F, border)

    def add(self, total: Tensor | None, part: Tensor, M: int) -> Tensor:
        """Return the sum over parts of a picture; `total` is changed in place."""
        return part * M if total is None else total.add_(part * M)

    def mean(self, total: Tensor, M: int) -> Tensor:
        """Return the sum over parts divided by the picture's M positions."""
        return total / M

    def part(self, rows: slice, columns: slice) -> "Distance":
        """Return the statistic for a part of the picture, with the target of that part."""
        return Distance(self.target[:, :, rows, columns])

    def _differences(self, F: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
        """Yield F − P in `dtype`, some rows at a time, which may be written over."""
        for F_part, P_part in zip(self._inside(F).chunk(CHUNKS, 2), self.target.chunk(CHUNKS, 2), strict=True):
            yield F_part.to(dtype, copy=True).sub_(P_part)

    def _has_kernels(self, F: Tensor) -> bool:
        """Return whether there are kernels for activations like these and the target."""
        down, across = self._rings(F)
        return down == across and gpu.serves_activations(self.target) and _has_kernels(F)

    def _rings(self, F: Tensor) -> tuple[int, int]:
        """Return how many rows, and columns, of activations lie beyond those of the target on either side."""
        return (F.shape[2] - self.target.shape[2]) // 2, (F.shape[3] - self.target.shape[3]) // 2

    def _inside(self, F: Tensor) -> Tensor:
        """Return a view of what the ring of activations encloses, if they have one."""
        down, across = self._rings(F)
        return F[:, :, down : F.shape[2] - down, across : F.shape[3] - across]


CHUNKS = 4
"""Parts of activations of which one at a time is converted to the type of the statistic."""

PIECE, PIECES = 512, 16
"""Positions of bf16 activations whose products are added in one go, which rounds their sum to bf16, and pieces whose
roundings average out: of as many, Gram matrices err by 0.05 % of their norm at most. Smaller ones are made in fp32, as
final losses of small pictures got worse otherwise."""

GRAM: Gram = Gram()
MOMENTS: Moments = Moments()


def _by_position(F: Tensor) -> Tensor:
    """View (B, N, H, W) as (B, M, N), which for channels-last is how it lies in memory."""
    return F.permute(0, 2, 3, 1).flatten(1, 2)


def _in_pieces(columns: Tensor, dtype: torch.dtype) -> Tensor:
    """Return F Fᵀ (B, N, N) in `dtype` of activations (B, M, N) in bf16, summed in `dtype` over pieces of positions.

    In fp32 a CPU with instructions for bf16 takes three to six times as long, and makes a copy of the activations.
    """
    count = columns.shape[1] // PIECE
    positions = columns.shape[1] // count
    sums = []
    for sample in columns:  # one by one: a view of the pieces of all of them would be a copy
        pieces, rest = sample[: count * positions].unflatten(0, (count, positions)), sample[count * positions :]
        total = (pieces.mT @ pieces).sum(0, dtype=dtype)
        sums.append(total + (rest.mT @ rest).to(dtype) if len(rest) else total)
    return torch.stack(sums)


def _has_kernels(F: Tensor) -> bool:
    """Return whether there are kernels for statistics of activations like these: in bf16."""
    return F.dtype == torch.bfloat16 and gpu.serves_activations(F)
