"""The filters of a VGG-19 and the input that they expect."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from nst_kernel.encoder.outline import Kind, Outline, check_covers
from nst_kernel.encoder.ring import Border

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


NORMALISED = 0.04
"""Root mean square that the normalised network's first filters are below, with 0.012; those of Caffe have 0.1 and more,
since their activations of values up to 255 are in the hundreds."""


@dataclass(frozen=True)
class Weights:
    """Filters of the first convolutions of a VGG-19, and the input that they expect.

    Attributes:
        name: `imagenet`, `embedded`, or the file's name.
        sha256: digest of the file they came from, hexadecimal.
        convolutions: by layer name, weight (out, in, 3, 3) and bias (out,); consecutive from `conv1_1` on.
        input: `rgb`: RGB in [0, 1] normalised by ImageNet's mean and deviation, torchvision's convention;
            `bgr255`: BGR in [0, 255] minus the mean, Gatys' convention.
        border: padding of each convolution, unless a request says otherwise: `zero` as VGG was trained, or `replicate`;
            transfers ask for another in the place of `zero` (`border_of`).
    """

    name: str
    sha256: str
    convolutions: dict[str, tuple[Tensor, Tensor]] = field(repr=False)
    input: Literal["rgb", "bgr255"] = "rgb"
    border: Border = "zero"

    @property
    def kind(self) -> Kind:
        """Kind of network by which published weights of losses hold or not: embedded, or by the input that it expects.

        Of those for BGR, `normalised` are the ones that Gatys scaled to activations of 1 in the mean.
        """
        if self.name == "embedded":
            return "embedded"
        if self.input == "rgb":
            return "torchvision"
        first = self.convolutions.get("conv1_1")
        return "caffe" if first is None or first[0].square().mean() > NORMALISED**2 else "normalised"

    def check_covers(self, layers: Iterable[str]) -> None:
        """Raise `LayerMissing`, with its name, for a layer that these weights do not reach."""
        check_covers(self.name, tuple(self.convolutions), layers)

    @property
    def outline(self) -> Outline:
        """What is known of these weights without their filters."""
        return Outline(self.name, self.sha256, tuple(self.convolutions), self.kind)
