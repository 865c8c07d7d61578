"""The encoder: VGG-19 up to the deepest layer that is wanted, whatever input its weights were trained for."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypedDict, Unpack

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from nst_kernel.encoder.passes import Pass
from nst_kernel.encoder.precision import TYPES, Precision
from nst_kernel.encoder.request import Border, Request
from nst_kernel.encoder.statistics import Statistic
from nst_kernel.encoder.weights import IMAGENET_DEVIATION, IMAGENET_MEAN, Weights, check_covers
from nst_kernel.layers import LAYERS
from nst_kernel.pictures import MIN_SIDE

BGR255_MEAN = (103.939, 116.779, 123.680)


class PassOptions(TypedDict, total=False):
    """How a pass is computed where a caller wants it otherwise than by default; see `Request`."""

    pooling: Literal["avg", "max"]
    border: Border
    checkpoint: bool


class Vgg19(nn.Module):
    """VGG-19's convolutions: pictures (B, 3, H, W), RGB in [0, 1], to activations by layer name. Nothing is trained.

    One encoder serves every request within its layers: pooling and border are chosen by request, as they have no
    weights.
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
        """Return activations after the ReLU, by layer name, of pictures x (B, 3, H, W) in [0, 1]; see `observe`."""
        return self.observe(x, layers, pooling=pooling, precision=precision)[0]

    def observe(
        self,
        x: Tensor,
        layers: Iterable[str] = (),
        statistics: Mapping[str, Statistic] | None = None,
        *,
        precision: Precision = "fp32",
        **options: Unpack[PassOptions],
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return activations after the ReLU, and statistics of activations, both by layer name.

        Args:
            x: pictures (B, 3, H, W), RGB in [0, 1].
            layers: whose activations (B, N, H', W') are returned, in the type of x.
            statistics: by layer, what is returned of its activations, such as `GRAM`, in the type of x.
            precision: of the convolutions from `conv1_2` on; float64 pictures are computed in float64.
            options: pooling, border and checkpoint of the `Request`; by default average pooling, the border that the
                weights want, and everything kept.

        Raises:
            LayerMissing: if the weights do not reach a layer.
            ValueError: if a side has fewer than 16 pixels.
        """
        # The layers that are wanted, each once, and whether they can be had.
        features, statistics = tuple(dict.fromkeys(layers)), dict(statistics or {})
        wanted = {*features, *statistics}
        check_covers(self.name, self.layers, wanted)
        if min(x.shape[-2:]) < MIN_SIDE:
            raise ValueError(f"a picture of {x.shape[-1]}x{x.shape[-2]} px: VGG-19 needs {MIN_SIDE} on each side")
        # One pass through the blocks down to the deepest of them.
        depth = 1 + max((LAYERS.index(layer) for layer in wanted), default=-1)
        blocks = tuple(tuple(block) for _, block in itertools.groupby(LAYERS[:depth], key=lambda layer: layer[4]))
        request = Request(
            features,
            statistics,
            blocks,
            pooling=options.get("pooling", "avg"),
            dtype=x.dtype if x.dtype == torch.float64 else TYPES[precision],
            border=options.get("border", self.border),
            checkpoint=options.get("checkpoint", False),
        )
        apply: Callable[..., tuple[Tensor, ...]] = Pass.apply
        results = apply(x, self, request, torch.is_grad_enabled() and x.requires_grad)
        return (
            dict(zip(features, results, strict=False)),
            dict(zip(statistics, results[len(features) :], strict=True)),
        )

    def normalise(self, x: Tensor) -> Tensor:
        """Return pixels as the first convolution expects them, channels last."""
        x = x.flip(1) if self.input == "bgr255" else x
        return ((x - self.mean) * self.scale).contiguous(memory_format=torch.channels_last)

    def normalise_back(self, g: Tensor) -> Tensor:
        """Return the gradient of pixels from that of their normalised values."""
        g = (g * self.scale).contiguous()
        return g.flip(1) if self.input == "bgr255" else g

    def convolve(self, x: Tensor, layer: str, request: Request) -> Tensor:
        """Return a layer's activation before the ReLU, in the request's dtype."""
        # Pixels meet their first filters unrounded: that layer is half a percent of the work.
        weight, bias = self._filters_of(layer, x.dtype if layer == "conv1_1" else request.dtype)
        x = x.to(weight.dtype)
        if request.border == "zero":
            return nnf.conv2d(x, weight, bias, padding=1).to(request.dtype)
        return nnf.conv2d(_continued(x, request.border), weight, bias).to(request.dtype)

    def convolve_back(self, g: Tensor, layer: str, request: Request) -> Tensor:
        """Return the gradient of a layer's input from that of its activation before the ReLU."""
        weight, _ = self._filters_of(layer, self.mean.dtype if layer == "conv1_1" else request.dtype)
        g = g.to(weight.dtype)
        height, width = g.shape[-2:]
        back: Callable[..., Tensor] = conv2d_input
        if request.border == "zero":
            return back((len(g), weight.shape[1], height, width), weight, g, padding=1)
        padded = back((len(g), weight.shape[1], height + 2, width + 2), weight, g)
        # The gradient of a repeated pixel belongs to the pixel that was repeated.
        for rows_first in (padded, padded.mT):
            copied = _distance(rows_first.shape[-2] - 2, request.border)
            rows_first[:, :, copied] += rows_first[:, :, 0]
            rows_first[:, :, -1 - copied] += rows_first[:, :, -1]
        return padded[:, :, 1:-1, 1:-1].contiguous(memory_format=torch.channels_last)

    def _filters_of(self, layer: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return a layer's filters and biases in `dtype`, which are converted and laid out once."""
        weight, bias = self.get_buffer(f"{layer}_weight"), self.get_buffer(f"{layer}_bias")
        key = layer, dtype, weight.device
        if key not in self._filters:
            self._filters[key] = weight.to(dtype).contiguous(memory_format=torch.channels_last), bias.to(dtype)
        return self._filters[key]


def border_of(encoder: Vgg19) -> Border:
    """Return the padding with which pictures are made: as in a mirror, unless the weights want another than zeros.

    A departure from VGG, whose zeros leave a frame of 2 to 4 px on the output: the spread of colours within the outer
    2 px, over that inside, falls from 1.6 to 1.1 on a dark photo (`tests/bench/README.md`). Replicated pixels leave a
    little more; statistics without the outermost positions leave the frame as it is; a margin that is cut off takes it
    away as well, but also 13 % more time and memory at 256 px.
    """
    return "reflect" if encoder.border == "zero" else encoder.border


def _distance(side: int, border: Border) -> int:
    """Return how far the repeated row lies from the padding on its side: a single row is its own mirror image."""
    return 2 if border == "reflect" and side > 1 else 1


def _continued(x: Tensor, border: Border) -> Tensor:
    """Return x (B, N, H, W) with a row and a column more on each side, repeated from within.

    Where autograd is to find the way back it is made of slices: torch's own on CUDA is not deterministic.
    """
    if not torch.is_grad_enabled() and min(x.shape[-2:]) > 1:
        return nnf.pad(x, (1, 1, 1, 1), mode=border)
    for axis in (-2, -1):
        side = x.shape[axis]
        copied = _distance(side, border)
        x = torch.cat([x.narrow(axis, copied - 1, 1), x, x.narrow(axis, side - copied, 1)], axis)
    return x
