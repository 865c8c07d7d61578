"""One sample of a batch: its pictures and its parameters."""

from dataclasses import dataclass

from torch import Tensor

from nst_kernel.params import StyleParams


@dataclass(frozen=True)
class Pair:
    """One sample of a batch. Pictures are (3, H, W), RGB in [0, 1]; the output has the content's shape.

    Attributes:
        content: the content picture; with `content_weight` 0 it may be absent, and the output has the style's shape.
        style: the style picture, of any shape; with `style_weight` 0 it may be absent.
        init: where the pixels start if `params.init` is neither content, noise nor style.
        style_key: a digest of the style picture by which its Gram matrices are cached; none: they are not.
    """

    content: Tensor | None
    style: Tensor | None
    params: StyleParams
    init: Tensor | None = None
    style_key: str | None = None

    def __post_init__(self) -> None:
        needs = {"content": self.params.needs_content, "style": self.params.needs_style}
        if self.params.init not in ("content", "noise", "style"):
            needs["init"] = True
        for name, needed in needs.items():
            if needed and getattr(self, name) is None:
                raise ValueError(f"a pair without its {name} picture, which these parameters need")

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the output."""
        picture = self.content if self.content is not None else self.style
        assert picture is not None
        return picture.shape[-2], picture.shape[-1]
