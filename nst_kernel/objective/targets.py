"""What the features of the output are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nst_kernel.encoder import Vgg19, computing_in, resolve_precision
from nst_kernel.objective.gram_cache import GramCache
from nst_kernel.pair import Pair
from nst_kernel.params import StyleParams


@dataclass(frozen=True)
class Targets:
    """What the output's features are compared with.

    Attributes:
        content: by layer, activations P of the content pictures (B, N, H, W).
        style: by layer, Gram matrices A of the style pictures per position, A/M (B, N, N).
    """

    content: Mapping[str, Tensor]
    style: Mapping[str, Tensor]


@torch.no_grad()
def style_grams(encoder: Vgg19, style: Tensor, params: StyleParams) -> dict[str, Tensor]:
    """A/M by style layer, each (1, N, N), of one style picture (1, 3, h, w) in [0, 1]."""
    return _observe(encoder, style, params, grams=params.style_layers)[1]


@torch.no_grad()
def content_features(encoder: Vgg19, content: Tensor, params: StyleParams) -> dict[str, Tensor]:
    """P by content layer (B, N, H', W') of content pictures (B, 3, H, W) in [0, 1]."""
    return _observe(encoder, content, params, params.content_layers)[0]


def _observe(
    encoder: Vgg19, x: Tensor, params: StyleParams, layers: Sequence[str] = (), **asked: Any
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    precision = resolve_precision(params.precision, x.device)
    with computing_in(precision, often=torch.is_grad_enabled()):
        return encoder.observe(x, layers, pooling=params.pooling, precision=precision, **asked)


def targets_of(pairs: Sequence[Pair], encoder: Vgg19, cache: GramCache | None = None) -> Targets:
    """Return the targets of a batch of pairs, the style's from the cache where they are kept."""
    shared = pairs[0].params
    content: dict[str, Tensor] = {}
    style: dict[str, Tensor] = {}
    if shared.content_weight > 0:
        pictures = torch.stack([pair.content.to(encoder.mean) for pair in pairs if pair.content is not None])
        content = content_features(encoder, pictures, shared)
    if shared.style_weight > 0:
        matrices = [_grams(pair, encoder, cache) for pair in pairs]
        style = {layer: torch.cat([of_pair[layer] for of_pair in matrices]) for layer in shared.style_layers}
    return Targets(content, style)


def _grams(pair: Pair, encoder: Vgg19, cache: GramCache | None) -> Mapping[str, Tensor]:
    """A/M of a pair's style by layer, computed once for all pairs that share it."""
    assert pair.style is not None
    picture, params = pair.style.to(encoder.mean).unsqueeze(0), pair.params
    if cache is None or pair.style_key is None:
        return style_grams(encoder, picture, params)
    precision = resolve_precision(params.precision, picture.device)
    key = (pair.style_key, tuple(picture.shape), params.style_layers, params.pooling, precision, encoder.sha256)
    return cache.get(key, lambda: style_grams(encoder, picture, params))
