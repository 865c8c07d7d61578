"""Statistics of the regions of a picture: positions count by soft masks."""

from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

from nst_kernel.encoder.relu import relu_back
from nst_kernel.encoder.ring import Border
from nst_kernel.encoder.statistics import Gram


@dataclass(frozen=True)
class Guided:
    """The statistic of each region r, g_r = F diag(t_r) Fᵀ / Σt_r in the place of F Fᵀ / M: (B, R, N, ...).

    With the masks t² of Gatys et al., *Controlling perceptual factors*, CVPR 2017, section 3.1, the shares of regions
    that overlap would not add up; with t, Σ_r (Σt_r/M) g_r = g wherever masks add up to 1. The two are equal for masks
    of 0 and 1. A region that is nowhere in the picture has the statistic 0.

    Attributes:
        inner: the statistic of each region.
        masks: t (B, R, H, W) in [0, 1] at the layer's positions, or those of a part of a picture.
        shares: 1/Σt_r over the positions of the whole picture (B, R), 0 for a region that is nowhere.
    """

    inner: Gram
    masks: Tensor
    shares: Tensor

    @classmethod
    def by(cls, inner: Gram, masks: Tensor) -> "Guided":
        """Return the statistic of the regions of whole pictures, by their masks (B, R, H, W)."""
        total = masks.sum((2, 3))
        return cls(inner, masks, torch.where(total > 0, 1 / total, 0.0))

    def part(self, rows: slice, columns: slice) -> "Guided":
        """Return the statistic for a part of the picture, with the masks of that part."""
        return Guided(self.inner, self.masks[:, :, rows, columns], self.shares)

    def of(self, F: Tensor, M: int, dtype: torch.dtype) -> Tensor:
        """Return g_r of activations F (B, N, H, W) for every region, or what a part of a picture adds to them."""
        # One region after the other: a copy of the activations is the most that is needed.
        regions = [self.inner.weighted(F, mask, dtype) for mask in self._at(F)]
        sums = torch.stack(regions, dim=1)
        return sums * self.shares.to(dtype)[:, :, None, None]

    def back(self, F: Tensor, gradient: Tensor, M: int, *, plus: Tensor | None = None, border: Border) -> Tensor:
        """Return the gradient before the ReLU: that of `inner` from dg_r (B, R, N, ...), times t_r/Σt_r, for all r."""
        result = torch.zeros_like(F) if plus is None else plus
        by_share = gradient * self.shares.to(gradient.dtype)[:, :, None, None]
        for r, mask in enumerate(self._at(F)):
            self.inner.add_weighted_back(result, F, mask, by_share[:, r])
        return relu_back(result, F, border)

    def add(self, total: Tensor | None, part: Tensor, M: int) -> Tensor:
        """Return the sum over parts of a picture; `total` is changed in place."""
        return part if total is None else total.add_(part)

    def mean(self, total: Tensor, M: int) -> Tensor:
        """Return the sum over parts: each has been divided by Σt_r of the whole picture."""
        return total

    def _at(self, F: Tensor) -> tuple[Tensor, ...]:
        """Return the mask of each region (B, 1, H, W) as activations F have it: in their type, zero at their ring."""
        down, across = ((F.shape[axis] - self.masks.shape[axis]) // 2 for axis in (2, 3))
        masks = self.masks.to(F.dtype)
        if down or across:
            masks = nnf.pad(masks, (across, across, down, down))
        return tuple(mask.unsqueeze(1) for mask in masks.unbind(1))
