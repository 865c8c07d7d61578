"""The targets of a transfer: what the features of the output are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nst_kernel.cost import Saving, tile_of
from nst_kernel.encoder import (
    Guided,
    Statistic,
    Vgg19,
    border_of,
    computing_in,
    resolve_precision,
    type_of_activations,
)
from nst_kernel.objective.gram_cache import GramCache
from nst_kernel.objective.losses import laplacian
from nst_kernel.objective.regions import Regions, masks_at, most_regions, padded, regions_of
from nst_kernel.objective.style_terms import STYLE_TERMS
from nst_kernel.pair import Pair, Style
from nst_kernel.params import StyleParams


@dataclass(frozen=True)
class Targets:
    """What the output's features are compared with.

    Attributes:
        content: by layer, activations P of the content pictures (B, N, H, W), in the type in which they are computed.
        style: by layer, what the statistic of the output is compared with: for `statistics=gram` Gram matrices of the
            style pictures per position, A/M (B, N, N); with regions, those of each region (B, R, N, N).
        laplacians: by the side of the squares that pixels are averaged over, D (B, h, w) of the content pictures; zero
            for samples without this term.
        grey: (B, 1, 1, 1), which samples are compared as grey pictures, whatever their pixels are; None: none.
        regions: those of the samples; None: they have none.
    """

    content: Mapping[str, Tensor]
    style: Mapping[str, Tensor]
    laplacians: Mapping[int, Tensor] = field(default_factory=dict)
    grey: Tensor | None = None
    regions: Regions | None = None

    def select(self, samples: Tensor) -> "Targets":
        """Return the targets of some of the samples, by index (n,)."""
        return Targets(
            {layer: P[samples] for layer, P in self.content.items()},
            {layer: A[samples] for layer, A in self.style.items()},
            {pool: D[samples] for pool, D in self.laplacians.items()},
            None if self.grey is None else self.grey[samples],
            self.regions.select(samples) if self.regions else None,
        )


def targets_of(
    pairs: Sequence[Pair], encoder: Vgg19, cache: GramCache | None = None, saving: Saving = "nothing"
) -> Targets:
    """Return the targets of a batch of pairs; statistics of styles that have a key come from the cache."""
    shared = pairs[0].params
    content: dict[str, Tensor] = {}
    style: dict[str, Tensor] = {}
    if shared.content_weight > 0:
        pictures = torch.stack([pair.content.to(encoder.mean) for pair in pairs if pair.content is not None])
        content = content_features(encoder, pictures, shared, saving)
    regions = None
    if shared.style_weight > 0 and pairs[0].masks is None:
        statistics = [_blend(pair, encoder, cache, saving) for pair in pairs]
        target = STYLE_TERMS[shared.statistics].target
        style = {layer: target(torch.cat([of_pair[layer] for of_pair in statistics])) for layer in shared.style_layers}
    elif shared.style_weight > 0:
        style, regions = _of_regions(pairs, encoder, cache, saving)
    grey = [pair.grey for pair in pairs]
    in_grey = torch.tensor(grey, device=encoder.mean.device).view(-1, 1, 1, 1) if any(grey) else None
    return Targets(content, style, _laplacians(pairs, encoder), in_grey, regions)


def _of_regions(
    pairs: Sequence[Pair], encoder: Vgg19, cache: GramCache | None, saving: Saving
) -> tuple[dict[str, Tensor], Regions]:
    """Return the targets of every region by style layer, (B, R, N, ...), and the regions."""
    layers, most = pairs[0].params.style_layers, most_regions(pairs)
    target = STYLE_TERMS[pairs[0].params.statistics].target
    targets: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    known: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    for pair in pairs:
        styles = [_statistics(style, pair.params, encoder, cache, saving) for style in pair.styles]
        for layer in layers:
            A = torch.stack([statistics[layer][0] for statistics in styles])[:, list(pair.styled)]
            # A style counts where it has the region at this layer: what is not there has no second moment at all.
            there = A.diagonal(dim1=2, dim2=3).sum(2) > 0
            weights = A.new_tensor([style.weight for style in pair.styles])[:, None] * there
            total = weights.sum(0)
            blend = (A * (weights / total.where(total > 0, 1))[:, :, None, None]).sum(0)
            blend[total == 0] = 1.0  # of weight 0, and divided by
            targets[layer].append(padded(target(blend), most))
            known[layer].append((total > 0).to(A))
    return {layer: torch.stack(each) for layer, each in targets.items()}, regions_of(pairs, known)


def _laplacians(pairs: Sequence[Pair], encoder: Vgg19) -> dict[int, Tensor]:
    """Return `Targets.laplacians`, for every size of squares that any of the pairs takes."""
    contents = {b: pair.content for b, pair in enumerate(pairs) if pair.params.laplacian_weight > 0}
    pools = sorted({pool for b in contents for pool in pairs[b].params.laplacian_pools})
    if not pools:
        return {}
    pictures = encoder.mean.new_zeros(len(pairs), 3, *pairs[0].shape)
    for b, content in contents.items():
        assert content is not None  # or there would be no pair
        pictures[b] = content
    return {pool: laplacian(pictures, pool) for pool in pools}


@torch.no_grad()
def style_grams(
    encoder: Vgg19, style: Tensor, params: StyleParams, masks: Tensor | None = None, saving: Saving = "nothing"
) -> dict[str, Tensor]:
    """Return the statistic by style layer, such as A/M (1, N, N), of one style picture (1, 3, h, w) in [0, 1].

    With masks (R, h, w) in [0, 1] it is that of each region, (1, R, N, N).
    """
    precision = resolve_precision(params.precision, style.device)
    with computing_in(precision, often=False):
        inner = STYLE_TERMS[params.statistics].statistic
        statistics: dict[str, Statistic] = dict.fromkeys(params.style_layers, inner)
        if masks is not None:
            regions = masks_at(masks, params.style_layers, inside=params.mask_mode == "inside")
            statistics = {layer: Guided.by(inner, at.unsqueeze(0)) for layer, at in regions.items()}
        return encoder.observe(
            style,
            (),
            statistics,
            pooling=params.pooling,
            precision=precision,
            border=border_of(encoder),
            checkpoint=max(params.style_scale) > 1,  # it may have many times the pixels of the output
            tile=tile_of(saving),
        )[1]


@torch.no_grad()
def content_features(
    encoder: Vgg19, content: Tensor, params: StyleParams, saving: Saving = "nothing"
) -> dict[str, Tensor]:
    """Return P by content layer (B, N, H', W') of content pictures (B, 3, H, W) in [0, 1], in the activations' type."""
    precision = resolve_precision(params.precision, content.device)
    with computing_in(precision, often=False):
        features, _ = encoder.observe(
            content,
            params.content_layers,
            pooling=params.pooling,
            precision=precision,
            border=border_of(encoder, tileable=params.tileable),
            tile=tile_of(saving),
        )
    return {layer: P.to(type_of_activations(content, precision)) for layer, P in features.items()}


def _blend(pair: Pair, encoder: Vgg19, cache: GramCache | None, saving: Saving) -> Mapping[str, Tensor]:
    """Return the statistics of a pair's styles by layer, averaged by their weights."""
    total = sum(style.weight for style in pair.styles)
    blended: dict[str, Tensor] = {}
    for style in pair.styles:
        statistics = _statistics(style, pair.params, encoder, cache, saving)
        if style.weight == total:
            return statistics  # the only one that counts
        for layer, A in statistics.items():
            share = A * (style.weight / total)
            blended[layer] = blended[layer] + share if layer in blended else share
    return blended


def _statistics(
    style: Style, params: StyleParams, encoder: Vgg19, cache: GramCache | None, saving: Saving
) -> Mapping[str, Tensor]:
    """Return the statistic of one style by layer, computed once for all pairs that share it."""
    picture = style.picture.to(encoder.mean).unsqueeze(0)
    masks = None if style.masks is None else style.masks.to(encoder.mean)
    if cache is None or style.key is None:
        return style_grams(encoder, picture, params, masks, saving)
    precision = resolve_precision(params.precision, picture.device)
    about = params.style_layers, params.statistics, params.pooling, precision, encoder.sha256
    by_region = (params.mask_mode, len(masks)) if masks is not None else ()
    key = (style.key, tuple(picture.shape), *about, *by_region)
    return cache.get(key, lambda: style_grams(encoder, picture, params, masks, saving))
