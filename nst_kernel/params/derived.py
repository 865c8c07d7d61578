"""What follows from the values of parameters: layers, pictures that are needed, shares and scales of styles."""

from nst_kernel.params.rules import Problem


class Derived:
    """What `StyleParams` derives from its values, for which it declares everything that is named here."""

    __slots__ = ()

    content_weight: float
    style_weight: float
    laplacian_weight: float
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    style_blend_weights: tuple[float, ...]
    style_scale: tuple[float, ...]
    preserve_color: str
    style_color: str
    init: str
    content_mask: str
    style_mask: str

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer that takes part in the objective."""
        content = self.content_layers if self.content_weight > 0 else ()
        style = self.style_layers if self.style_weight > 0 else ()
        return tuple(dict.fromkeys((*content, *style)))

    @property
    def needs_content(self) -> bool:
        """Whether a content picture takes part."""
        recolours = self.preserve_color != "none" or self.style_color != "none"
        return self.content_weight > 0 or self.laplacian_weight > 0 or self.init == "content" or recolours

    @property
    def needs_style(self) -> bool:
        """Whether a style picture takes part."""
        return self.style_weight > 0 or self.init == "style" or self.style_color != "none"

    def share_of(self, style: int, styles: int) -> float:
        """Return the weight of one of so many styles, which counts relative to the weights of the others."""
        return self.style_blend_weights[style] if self.style_blend_weights else 1.0 / styles

    def heaviest(self, styles: int) -> int:
        """Return the place of the style with the largest weight, the first of equal ones, among so many."""
        return max(range(styles), key=lambda style: self.share_of(style, styles))

    def scale_of(self, style: int) -> float:
        """Return the long side of one of several styles over that of the output."""
        return self.style_scale[style if len(self.style_scale) > 1 else 0]

    def misfits(self, styles: int) -> list[Problem]:
        """Return what does not fit a sample of so many styles: lists of another length, and masks."""
        lists = {"style_blend_weights": self.style_blend_weights or (1.0,) * styles, "style_scale": self.style_scale}
        fitting = {"style_blend_weights": (styles,), "style_scale": (1, styles)}
        number = f"{styles} number{'s'[: styles > 1]}, one for each style"
        problems = [
            Problem(name, list(values), number if name == "style_blend_weights" else f"one number, or {number}")
            for name, values in lists.items()
            if styles and len(values) not in fitting[name]
        ]
        return problems + self._misfitting_masks(styles)

    def _misfitting_masks(self, styles: int) -> list[Problem]:
        """Return what is wrong with the number of masks, for a sample of so many styles."""
        regions, own = (len(each.split("|")) if each else 0 for each in (self.content_mask, self.style_mask))
        if not regions or not styles:
            return []
        if regions == 1:
            expected = f"{styles} picture{'s'[: styles > 1]} of labels, one for each style, or none"
            return [] if own in (0, styles) else [Problem("style_mask", self.style_mask, expected)]
        if own:
            expected = f"{regions} grey pictures of a single style, one for each of content_mask; for several styles, "
            fits = own == regions and styles == 1
            return [] if fits else [Problem("style_mask", self.style_mask, f"{expected}a picture of labels for each")]
        expected = f"{styles} grey picture{'s'[: styles > 1]}, one for each style, or style_mask too"
        return [] if regions == styles else [Problem("content_mask", self.content_mask, expected)]
