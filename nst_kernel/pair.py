"""One sample of a batch: its pictures and its parameters."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from nst_kernel.params import INITS, ParamError, StyleParams
from nst_kernel.pictures import ramped, resize_masks, tiled


@dataclass(frozen=True)
class Style:
    """One of the styles that a sample takes its statistics from.

    Attributes:
        picture: (3, H, W), RGB in [0, 1], of any shape.
        weight: share of this style, relative to the weights of the others; at least 0.
        key: a digest of the picture, and of its masks, by which its statistics are cached; None: they are not.
        masks: where in the picture each region of the sample is, (R, H, W) in [0, 1]; None: the sample has no regions.
        opacity: of the picture, (H, W) in [0, 1], by which its colours count; None: it is opaque.
    """

    picture: Tensor
    weight: float = 1.0
    key: str | None = None
    masks: Tensor | None = None
    opacity: Tensor | None = None

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise ValueError(f"a style of weight {self.weight}: expected a number of at least 0")

    def resized_masks(self) -> "Style":
        """Return the style with its masks at the size of its picture."""
        if self.masks is None:
            return self
        return replace(self, masks=resize_masks(self.masks.to(self.picture), self.picture.shape[-2:]))

    def has(self, region: int) -> bool:
        """Return whether a region of the sample takes this style."""
        return self.weight > 0 and self.masks is not None and bool(self.masks[region].max() > 0)


@dataclass(frozen=True)
class Pair:
    """One sample of a batch. Pictures are (3, H, W), RGB in [0, 1]; the output has the content's shape.

    Attributes:
        content: the content picture; with `content_weight` 0 it may be absent, and the output has the style's shape.
        styles: the style pictures; with `style_weight` 0 there may be none.
        params: parameters of the sample.
        init: the picture to start from if `params.init` names a picture file, as it does if it is none of `INITS`.
        output: the (height, width) of the output of a pair without content; None: that of its heaviest style, with
            `tileable` the next one that tiles.
        grey: whether the output is grey: its pixels have three equal channels all along. The transfer sets it.
        colours: a picture (3, H, W) whose colours the result gets, with the light of the output. The transfer sets it.
        masks: where in the output each region is, (R, H, W) in [0, 1]; None: the sample has no regions. A region takes
            the styles that have it; one that no style has keeps its content.
        original: the content (3, H, W) that such regions keep, in its own colours. The transfer sets it.
        opacity: of the output, (H, W) in [0, 1], with `transparency=keep`: what is transparent does not count for
            styles; None: it is opaque.

    Raises:
        ValueError: if a picture is missing that the parameters need.
    """

    content: Tensor | None
    styles: tuple[Style, ...]
    params: StyleParams
    init: Tensor | None = None
    output: tuple[int, int] | None = None
    grey: bool = False
    colours: Tensor | None = None
    masks: Tensor | None = None
    original: Tensor | None = None
    opacity: Tensor | None = None

    @classmethod
    def of(
        cls,
        content: Tensor | None,
        style: Tensor | Sequence[Tensor] | None,
        params: StyleParams,
        init: Tensor | None = None,
        *,
        keys: Sequence[str | None] = (),
        output: tuple[int, int] | None = None,
    ) -> Self:
        """Return a sample whose styles have the weights that its parameters give.

        Args:
            content: as the attribute.
            style: the style picture; or several, which share by `style_blend_weights`; or None.
            params: as the attribute.
            init: as the attribute.
            keys: of the styles, as `Style.key`; empty for none.
            output: as the attribute.

        Raises:
            ValueError: if a picture is missing, or parameters do not fit the number of styles.
        """
        pictures = () if style is None else (style,) if isinstance(style, Tensor) else tuple(style)
        if misfits := params.misfits(len(pictures)):
            raise ParamError(misfits)
        keyed = zip(pictures, keys or (None,) * len(pictures), strict=True)
        styles = tuple(
            Style(picture, params.share_of(place, len(pictures)), key) for place, (picture, key) in enumerate(keyed)
        )
        return cls(content, styles, params, init, output)

    def within(self, masks: Tensor, style_masks: Sequence[Tensor]) -> Self:
        """Return the sample with regions.

        Args:
            masks: where in the output each region is, (R, h, w) in [0, 1], of any height and width.
            style_masks: where each region is in each of the styles, in their order, in the same form.

        Raises:
            ValueError: if a style lacks its masks, or no region is in any style.
        """
        masked = [replace(style, masks=own) for style, own in zip(self.styles, style_masks, strict=True)]
        styles = tuple(style.resized_masks() for style in masked)
        return replace(self, styles=styles, masks=resize_masks(masks, self.shape))

    def cut_out(self, opacity: Tensor | None, of_styles: Sequence[Tensor | None]) -> Self:
        """Return the sample with the opacity of its pictures, with `transparency=keep`.

        Args:
            opacity: of the content, (h, w) in [0, 1], of any height and width; None: it is opaque.
            of_styles: those of the styles, in their order.

        Raises:
            ValueError: for a style that is transparent everywhere.
        """
        whole = self
        if self.masks is None and self.params.style_weight > 0:  # the picture is one region, of what is opaque
            one = torch.ones(1, 1, 1)
            whole = self.within(one, [one] * len(self.styles))
        styles = [
            style if own is None else _cut_out(style, _sized(own, style.picture)[0])
            for style, own in zip(whole.styles, of_styles, strict=True)
        ]
        if hidden := [place for place, own in enumerate(of_styles, 1) if own is not None and own.max() == 0]:
            raise ValueError(f"style {hidden[0]} is transparent everywhere: expected one of which something is seen")
        shape = torch.empty(1, *self.shape)
        return replace(whole, styles=tuple(styles), opacity=None if opacity is None else _sized(opacity, shape)[0])

    def __post_init__(self) -> None:
        self._check_masks()
        needed = {
            "content": self.params.needs_content and self.content is None,
            "style": self.params.needs_style and not self.styles,
            "init": self.params.init not in INITS and self.init is None,
        }
        for name, is_missing in needed.items():
            if is_missing:
                raise ValueError(f"a pair without its {name} picture, which these parameters need")
        if self.params.tileable and self.content is not None and self.shape != tiled(self.shape):
            raise ValueError(f"a content picture of {self.shape}: with tileable its sides must be multiples of 16")
        if self.styles and not any(style.weight > 0 for style in self.styles):
            raise ValueError("styles whose weights are all 0: expected at least one above 0")

    def _check_masks(self) -> None:
        """Refuse masks that do not fit each other.

        Raises:
            ValueError: with what is wrong.
        """
        counts = [0 if masks is None else len(masks) for masks in (self.masks, *(each.masks for each in self.styles))]
        if len(set(counts)) > 1:
            raise ValueError(f"masks of {counts[0]} regions in the output and of {counts[1:]} in the styles")
        if self.masks is None:
            return
        if self.masks.shape[1:] != self.shape:
            raise ValueError(f"masks of {tuple(self.masks.shape[1:])} for an output of {self.shape}: see Pair.within")
        if self.params.needs_style and not self.styled:
            raise ValueError("masks of regions of which no style has any: expected at least one that the styles have")
        if self.content is None and len(self.styled) < len(self.masks):
            raise ValueError("a region that no style has, and no content that it could keep")

    @functools.cached_property
    def styled(self) -> tuple[int, ...]:
        """The regions that take a style."""
        regions = range(0 if self.masks is None else len(self.masks))
        return tuple(region for region in regions if any(style.has(region) for style in self.styles))

    @functools.cached_property
    def kept(self) -> Tensor | None:
        """Where the output keeps its content, (H, W) in [0, 1], with ramps at its borders; None: nowhere."""
        if self.masks is None or len(self.styled) == len(self.masks):
            return None
        others = [region for region in range(len(self.masks)) if region not in self.styled]
        return ramped(self.masks[others].sum(0).clamp(max=1), tileable=self.params.tileable)

    @property
    def style(self) -> Tensor | None:
        """The picture of the style with the largest weight, the first of equal ones; None where there is none."""
        return max(self.styles, key=lambda style: style.weight).picture if self.styles else None

    @property
    def shape(self) -> tuple[int, int]:
        """The (height, width) of the output."""
        if self.content is None and self.output:
            return self.output
        picture = self.content if self.content is not None else self.style
        assert picture is not None
        shape = picture.shape[-2], picture.shape[-1]
        return tiled(shape) if self.params.tileable and self.content is None else shape


def _cut_out(style: Style, opacity: Tensor) -> Style:
    """Return a style of an opacity (H, W): its regions are where it is seen."""
    masks = None if style.masks is None else style.masks * _sized(opacity, style.masks)
    return replace(style, masks=masks, opacity=opacity)


def _sized(opacity: Tensor, like: Tensor) -> Tensor:
    """Return an opacity (h, w) as (1, H, W) at the size of masks (R, H, W), on their device."""
    return resize_masks(opacity.to(like).unsqueeze(0), like.shape[-2:])
