"""VGG-19's features by layer name, cut at the deepest layer asked for; the input convention stays inside."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from nst_kernel.params import LAYERS
from nst_kernel.precision import TYPES, Precision
from nst_kernel.sizes import MIN_SIDE

WIDTHS = (64, 128, 256, 512, 512)
"""Filters of a convolution, by block."""

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BGR255_MEAN = (103.939, 116.779, 123.680)


def shape_of(layer: str) -> tuple[int, int, int, int]:
    """(out, in, 3, 3): the shape of a convolution's filters, by its name."""
    index = LAYERS.index(layer)
    before = 3 if index == 0 else WIDTHS[int(LAYERS[index - 1][4]) - 1]
    return WIDTHS[int(layer[4]) - 1], before, 3, 3


class LayerMissing(ValueError):
    """A layer was asked for that the encoder's weights do not cover."""


@dataclass(frozen=True)
class Weights:
    """Filters of the first convolutions of a VGG-19, and how they want their input.

    Attributes:
        name: `imagenet`, `embedded`, or the file's name.
        sha256: digest of the file they came from, hexadecimal.
        convolutions: by layer name, weight (out, in, 3, 3) and bias (out,); consecutive from `conv1_1` on.
        input: `rgb`: RGB in [0, 1] normalised by ImageNet's mean and deviation, torchvision's convention;
            `bgr255`: BGR in [0, 255] minus the mean, Gatys' convention.
        border: padding of each convolution: `zero` as VGG was trained, `replicate` where the filters ask for it.
    """

    name: str
    sha256: str
    convolutions: dict[str, tuple[Tensor, Tensor]] = field(repr=False)
    input: Literal["rgb", "bgr255"] = "rgb"
    border: Literal["zero", "replicate"] = "zero"

    def check_covers(self, layers: Iterable[str]) -> None:
        """Raise `LayerMissing`, with its name, for a layer that these weights do not reach."""
        _check_covers(self.name, tuple(self.convolutions), layers)


def _check_covers(name: str, covered: Sequence[str], layers: Iterable[str]) -> None:
    for layer in sorted(layers):
        if layer not in covered:
            raise LayerMissing(
                f"the weights {name!r} have no layer {layer}: they cover {covered[0]} to {covered[-1]}. "
                f"Ask for layers within them, or give weights that reach {layer}."
            )


class Vgg19(nn.Module):
    """The encoder: pictures (B, 3, H, W), RGB in [0, 1], to activations by layer name. Nothing in it is trained.

    One encoder serves every request within its layers; pooling is chosen by request, since it has no weights.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.name, self.sha256 = weights.name, weights.sha256
        self.input, self.border = weights.input, weights.border
        self.layers = tuple(name for name in LAYERS if name in weights.convolutions)
        for layer, (weight, bias) in weights.convolutions.items():
            self.register_buffer(f"{layer}_weight", weight.detach().clone())
            self.register_buffer(f"{layer}_bias", bias.detach().clone())
        # The input convention as one affine map, (x - mean) * scale, after the order of channels.
        rgb = weights.input == "rgb"
        mean = torch.tensor(IMAGENET_MEAN if rgb else BGR255_MEAN).view(1, 3, 1, 1)
        deviation = torch.tensor(IMAGENET_DEVIATION if rgb else (1.0, 1.0, 1.0)).view(1, 3, 1, 1)
        self.register_buffer("mean", mean if rgb else mean / 255)
        self.register_buffer("scale", 1 / deviation if rgb else deviation * 255)
        self._filters: dict[tuple[str, torch.dtype, torch.device], tuple[Tensor, Tensor]] = {}

    def forward(
        self,
        x: Tensor,
        layers: Iterable[str],
        *,
        pooling: Literal["avg", "max"] = "avg",
        precision: Precision = "fp32",
    ) -> dict[str, Tensor]:
        """Activations after the ReLU, by layer name, of pictures (B, 3, H, W) in [0, 1], in the type of x.

        `precision` is that of the convolutions from `conv1_2` on; float64 pictures are served in float64.

        Raises:
            LayerMissing: if the weights do not reach a layer.
            ValueError: if a side has fewer than 16 pixels.
        """
        wanted = set(layers)
        _check_covers(self.name, self.layers, wanted)
        if min(x.shape[-2:]) < MIN_SIDE:
            raise ValueError(f"a picture of {x.shape[-1]}x{x.shape[-2]} px: VGG-19 needs {MIN_SIDE} on each side")
        pool = nnf.avg_pool2d if pooling == "avg" else nnf.max_pool2d
        if self.input == "bgr255":
            x = x.flip(1)
        exact = x.dtype
        dtype = exact if exact == torch.float64 else TYPES[precision]
        x = ((x - self.mean) * self.scale).contiguous(memory_format=torch.channels_last)
        features: dict[str, Tensor] = {}
        for layer in self.layers:
            if len(features) == len(wanted):
                break
            if layer.endswith("_1") and layer != "conv1_1":
                x = pool(x, 2)
            # In place: nothing needs the value before the ReLU, and a third of the memory is saved.
            # Pixels meet their first filters unrounded: that layer is half a percent of the work.
            x = self._convolve(x, layer, exact if layer == "conv1_1" else dtype).relu_()
            if layer in wanted:
                features[layer] = x.to(exact)
        return features

    def _convolve(self, x: Tensor, layer: str, dtype: torch.dtype) -> Tensor:
        """x with the layer's filters, both in `dtype`; filters are converted and laid out once."""
        key = layer, dtype, x.device
        if key not in self._filters:
            weight, bias = self.get_buffer(f"{layer}_weight"), self.get_buffer(f"{layer}_bias")
            weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
            self._filters[key] = weight, bias.to(dtype)
        weight, bias = self._filters[key]
        x = x.to(dtype)
        if self.border == "replicate":
            return nnf.conv2d(nnf.pad(x, (1, 1, 1, 1), mode="replicate"), weight, bias)
        return nnf.conv2d(x, weight, bias, padding=1)
