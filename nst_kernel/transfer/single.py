"""One pair of pictures of any sizes: fitted to each other, and given to the transfer."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nst_kernel.encoder import Vgg19, load_weights
from nst_kernel.pair import Pair
from nst_kernel.params import StyleParams
from nst_kernel.pictures import Masked, MaskError, fit, fit_style, masks_given, resize, straight, to_tensor
from nst_kernel.result import StylizeResult
from nst_kernel.transfer.all_scales import stylize_batch
from nst_kernel.transfer.observer import Observer


def stylize(
    content: Any = None,
    style: Any = None,
    params: StyleParams | None = None,
    *,
    encoder: Vgg19 | str = "embedded",
    init: Any = None,
    progress: Callable[[int, int], object] | Observer | None = None,
) -> StylizeResult:
    """Give one content picture the style of another.

    Args:
        content: uint8 or uint16 (H, W, 3) RGB, or anything that NumPy reads as that, such as a PIL image in mode RGB;
            or that with the masks of its regions, as a `Masked`.
        style: the style picture, in the same form; or a list of several, which share by `style_blend_weights`. With
            regions, each takes the styles that have it; one that no style has keeps its content.
            With `transparency=keep` pictures may have four channels, RGBA, and the result has the content's opacity.
        params: its `size` is the long side of the output, unless the content is smaller. The style's long side is
            `style_scale` times that of the output before its features are taken, unless the style is smaller;
            `upscale` enlarges both.
        encoder: an encoder, or what `load_weights` takes.
        init: a picture to start from, whatever `params.init` says.
        progress: called with (iterations done, iterations in all) after each one; or an observer, which with
            `save_every` also gets pictures on the way.

    Raises:
        ValueError: for a picture of another shape or type, or one that the parameters need and lack.
        MaskError: for masks that are no masks, or do not fit each other, their pictures or `params`.
        WeightsError: if the encoder's weights cannot be loaded.
    """
    params = params or StyleParams()
    if init is not None:
        params = dataclasses.replace(params, init="./given")
    if isinstance(encoder, str):
        encoder = Vgg19(load_weights(encoder))
    styles = style if isinstance(style, list | tuple) else [] if style is None else [style]
    pair = _pair_of(content, styles, init, params)
    return stylize_batch([pair], encoder, observer=Observer.of(progress) if progress else None)[0]


def _pair_of(content: Any, styles: Sequence[Any], init: Any, params: StyleParams) -> Pair:
    """Return pictures of any size as a pair, with regions where the content has masks.

    Raises:
        MaskError: for masks of styles alone, or of a pair in which styles take no part.
    """
    pictures = [style.picture if isinstance(style, Masked) else style for style in styles]
    if not isinstance(content, Masked):
        if len([style for style in styles if isinstance(style, Masked)]):
            raise MaskError("masks of styles alone: expected a content with masks, which say where its regions are")
        return _fitted(content, pictures, init, params, None)
    if params.style_weight == 0:
        raise MaskError("masks with style_weight=0: expected none, since regions say where styles are")
    masks, own = masks_given(content, styles)
    # As if files were named: what shares a batch follows from it.
    params = dataclasses.replace(params, content_mask=params.content_mask or "./given")
    return _fitted(content.picture, pictures, init, params, (masks, own))


def _fitted(
    content: Any, styles: Sequence[Any], init: Any, params: StyleParams, masks: tuple[Tensor, Sequence[Tensor]] | None
) -> Pair:
    """Return pictures of any size as a pair whose output is as large as `size` and `upscale` request.

    Args:
        content: as for `stylize`, without masks, as the others are.
        styles: as for `stylize`.
        init: as for `stylize`.
        params: of the pair.
        masks: of the regions of the content, and of those of each style; None: there are none.
    """
    keep = params.transparency == "keep"

    def shape_of(x: Tensor) -> tuple[int, int]:
        return fit(x.shape[-2], x.shape[-1], size=params.size, upscale=params.upscale, tileable=params.tileable)

    def fitted(picture: Any, *, keep: bool = False) -> tuple[Tensor | None, Tensor | None]:
        return (None, None) if picture is None else _sized(x := _whole(picture, keep=keep), shape_of(x))

    (output, opacity), whole = fitted(content, keep=keep), [_whole(style, keep=keep) for style in styles]
    # A texture has the shape of its style, which is then an output's.
    canvas = shape_of(whole[params.heaviest(len(whole))]) if output is None and whole else None
    size = max(output.shape[1:]) if output is not None else max(canvas or (params.size,))
    upscale = params.upscale or params.style_upscale
    shapes = [
        fit_style(x.shape[-2], x.shape[-1], size=size, scale=params.scale_of(place), upscale=upscale)
        for place, x in enumerate(whole)
    ]
    sized = [_sized(x, shape) for x, shape in zip(whole, shapes, strict=True)]
    pair = Pair.of(output, [picture for picture, _ in sized], params, fitted(init)[0], output=canvas)
    pair = pair.within(*masks) if masks else pair
    return pair.cut_out(opacity, [own for _, own in sized]) if keep else pair


def _whole(picture: Any, *, keep: bool) -> Tensor:
    """Return a picture as a tensor (3, H, W); one that may be transparent, with its opacity as (4, H, W)."""
    array = np.asarray(picture)
    if not keep or array.ndim != 3 or array.shape[2] != 4:
        return to_tensor(picture)
    return torch.cat([to_tensor(array[..., :3]), to_tensor(array[..., 3:].repeat(3, axis=2))[:1]])


def _sized(x: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor | None]:
    """Return a picture of `_whole` at a size, (3, H, W), and its opacity (H, W), if it has one."""
    if len(x) == 3:
        return resize(x, shape).clamp(0, 1), None
    smaller = resize(torch.cat([x[:3] * x[3:], x[3:]]), shape).clamp(0, 1)
    colours = straight(smaller[:3].permute(1, 2, 0).numpy(), smaller[3].numpy())
    return torch.from_numpy(colours).permute(2, 0, 1), smaller[3]
