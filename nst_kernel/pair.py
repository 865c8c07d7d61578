"""One sample of a batch: its pictures and its parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from nst_kernel.params import INITS, ParamError, StyleParams
from nst_kernel.pictures import tiled


@dataclass(frozen=True)
class Style:
    """One of the styles that a sample takes its statistics from.

    Attributes:
        picture: (3, H, W), RGB in [0, 1], of any shape.
        weight: share of this style, relative to the weights of the others; at least 0.
        key: a digest of the picture by which its statistics are cached; None: they are not.
        region: name of the region of the output that takes this style; None, the only one today: all of it.
    """

    picture: Tensor
    weight: float = 1.0
    key: str | None = None
    region: str | None = None

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise ValueError(f"a style of weight {self.weight}: expected a number of at least 0")
        if self.region is not None:
            raise ValueError(f"a style for the region {self.region!r}: expected None, a style for the whole picture")


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

    def __post_init__(self) -> None:
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
