"""The regions of a batch: masks by layer, and how much each region counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

from nst_kernel.layers import beyond
from nst_kernel.pair import Pair
from nst_kernel.pictures import eroded


@dataclass(frozen=True)
class Regions:
    """The regions that take a style, of every sample of a batch: R of them, the most that any sample has.

    A sample with fewer has copies of its first one in their places, whose weight is 0.

    Attributes:
        masks: by style layer, t (B, R, H', W') in [0, 1] at its positions.
        weights: by style layer, λ_r = Σt_r/M (B, R), the share of the picture that a region has, 0 where there is
            nothing to compare it with.
    """

    masks: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]

    def select(self, samples: Tensor) -> "Regions":
        """Return the regions of some of the samples, by index (n,)."""
        return Regions(
            {layer: masks[samples] for layer, masks in self.masks.items()},
            {layer: weights[samples] for layer, weights in self.weights.items()},
        )

    def weighted(self, layer: str, losses: Tensor) -> Tensor:
        """Return Σ_r λ_r·e_r, per sample (B,), of the losses e of the regions of a layer (B·R,)."""
        weights = self.weights[layer]
        terms = (losses.view(weights.shape) * weights).unbind(1)
        total = terms[0]
        for term in terms[1:]:  # in order: a sum at once could round otherwise for regions that batch-mates add
            total = total + term
        return total


def masks_at(masks: Tensor, layers: Sequence[str], *, inside: bool, tileable: bool = False) -> dict[str, Tensor]:
    """Return masks (R, H, W) at the positions of layers, pooled as the network pools.

    With `inside` they are without the positions that see anything else than the region.
    """
    by_layer = {}
    for layer in layers:
        pooled = masks.unsqueeze(0)
        for _ in range(int(layer[4]) - 1):
            pooled = nnf.avg_pool2d(pooled, 2)
        by_layer[layer] = eroded(pooled[0], beyond(layer), tileable=tileable) if inside else pooled[0]
    return by_layer


def regions_of(pairs: Sequence[Pair], known: Mapping[str, Sequence[Tensor]]) -> Regions:
    """Return the regions of a batch of pairs.

    Args:
        pairs: each with masks.
        known: by style layer, of each pair, which of its regions have a target there (R,), of 0 and 1.
    """
    layers, most = tuple(known), most_regions(pairs)
    masks: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    weights: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    for b, pair in enumerate(pairs):
        assert pair.masks is not None
        whole = pair.masks[list(pair.styled)].to(known[layers[0]][b])
        if pair.opacity is not None:
            whole = whole * pair.opacity.to(whole)
        inside = pair.params.mask_mode == "inside"
        # Weights are of the whole region, in both modes: one that is eroded does not lose its strength.
        areas = masks_at(whole, layers, inside=False)
        for layer, at in masks_at(whole, layers, inside=inside, tileable=pair.params.tileable).items():
            masks[layer].append(padded(at, most))
            share = areas[layer].mean((1, 2)) * known[layer][b]
            weights[layer].append(nnf.pad(share, (0, most - len(share))))
    return Regions(
        {layer: torch.stack(each) for layer, each in masks.items()},
        {layer: torch.stack(each) for layer, each in weights.items()},
    )


def most_regions(pairs: Sequence[Pair]) -> int:
    """Return how many regions with a style the pair has that has the most."""
    return max(len(pair.styled) for pair in pairs)


def padded(regions: Tensor, most: int) -> Tensor:
    """Return what is there for each of some regions (R, ...) for so many, with copies of the first at the end."""
    return torch.cat([regions, regions[:1].expand(most - len(regions), *regions.shape[1:])])
