"""What happens to the colours of a pair before its transfer, and to those of its result."""

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nst_kernel.pair import Pair, Style
from nst_kernel.params import INITS
from nst_kernel.pictures import (
    Moments,
    grey,
    is_grey,
    light_matched,
    matched,
    moments,
    recoloured,
    resize,
    resize_masks,
)


def coloured(pair: Pair) -> Pair:
    """Return a pair whose pictures have the colours that its parameters ask for.

    A pair whose pictures are all grey becomes one that is transferred in grey: the gradient of a grey picture is
    coloured, since an encoder sees colours, and steps along it would colour what nobody wants coloured.
    """
    params, content = pair.params, pair.content
    if pair.kept is not None:
        pair = dataclasses.replace(pair, original=content)
    if params.preserve_color == "luminance":
        assert content is not None  # or there would be no pair

        def lit(style: Style) -> Style:
            return _changed(style, light_matched(style.picture, content, style.opacity, pair.opacity))

        return dataclasses.replace(_in_grey(pair, lit), colours=content)
    if params.preserve_color == "luminance_after":
        pair = dataclasses.replace(pair, colours=content)
    elif params.preserve_color != "none":
        pair = _with_colours_of_content(pair, transport=params.preserve_color == "transport")
    elif params.style_color != "none":
        pair = _with_colours_of_styles(pair, transport=params.style_color == "transport")
    return _in_grey(pair, _as_grey) if all(map(is_grey, _taking_part(pair))) else pair


def finished(pairs: Sequence[Pair], x: Tensor) -> Tensor:
    """Return pictures (B, 3, H, W) of any scale with the colours that results have: what `coloured` has promised.

    Regions that keep their content show it.
    """
    if not any(pair.grey or pair.colours is not None or pair.kept is not None for pair in pairs):
        return x

    def one(pair: Pair, own: Tensor) -> Tensor:
        if pair.kept is None or pair.original is None:
            return with_colours(pair, own)
        there = resize_masks(pair.kept.unsqueeze(0), own.shape[-2:]).to(own)
        original = resize(pair.original, (own.shape[-2], own.shape[-1])).clamp(0, 1).to(own)
        return with_colours(pair, own.clamp(0, 1)).lerp(original, there)

    def with_colours(pair: Pair, own: Tensor) -> Tensor:
        if pair.colours is not None:
            return recoloured(own, resize(pair.colours, (own.shape[-2], own.shape[-1])).clamp(0, 1).to(own))
        return grey(own) if pair.grey else own

    return torch.stack([one(pair, own) for pair, own in zip(pairs, x, strict=True)])


def _taking_part(pair: Pair) -> list[Tensor]:
    """Return the pictures that decide the output of a pair."""
    params = pair.params
    takes_part = {
        "content": params.content_weight > 0 or params.laplacian_weight > 0 or params.init == "content",
        "init": params.init not in INITS,
    }
    named = [picture for role, picture in (("content", pair.content), ("init", pair.init)) if takes_part[role]]
    styles = [style.picture for style in pair.styles if style.weight > 0] if params.needs_style else []
    return [picture for picture in (*named, *styles) if picture is not None]


def _changed(style: Style, picture: Tensor) -> Style:
    """Return a style with another picture, whose statistics are cached for none: few pairs share the content too."""
    return dataclasses.replace(style, picture=picture, key=None)


def _as_grey(style: Style) -> Style:
    """Return a style in grey."""
    return dataclasses.replace(style, picture=grey(style.picture), key=style.key and f"grey/{style.key}")


def _in_grey(pair: Pair, of_style: Callable[[Style], Style]) -> Pair:
    """Return the pair in grey: content and start by their light, styles as a function says."""
    return dataclasses.replace(
        pair,
        content=None if pair.content is None else grey(pair.content),
        styles=tuple(map(of_style, pair.styles)),
        init=None if pair.init is None else grey(pair.init),
        grey=True,
    )


def _with_colours_of_content(pair: Pair, *, transport: bool) -> Pair:
    """Return the pair with each style in the colours of the content."""
    assert pair.content is not None  # or there would be no pair
    content = grey(pair.content) if is_grey(pair.content) else pair.content
    other = moments([content], opacities=[pair.opacity])
    styles = (
        _changed(style, matched(style.picture, _moments_of(style), other, transport=transport)) for style in pair.styles
    )
    return dataclasses.replace(pair, styles=tuple(styles))


def _with_colours_of_styles(pair: Pair, *, transport: bool) -> Pair:
    """Return the pair with its content in the colours of the styles together, by their weights."""
    assert pair.content is not None  # or there would be no pair
    styles = pair.styles
    weights, opacities = [style.weight for style in styles], [style.opacity for style in styles]
    other = moments([style.picture for style in styles], weights, opacities)
    own = moments([pair.content], opacities=[pair.opacity])
    return dataclasses.replace(pair, content=matched(pair.content, own, other, transport=transport))


def _moments_of(style: Style) -> Moments:
    """Return the moments of what is seen of a style."""
    return moments([style.picture], opacities=[style.opacity])
