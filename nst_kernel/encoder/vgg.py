"""The encoder: VGG-19 up to the deepest layer that is wanted, whatever input its weights were trained for."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypedDict, Unpack

import torch
from torch import Tensor, nn

from nst_kernel import gpu
from nst_kernel.encoder import ring
from nst_kernel.encoder.filters import Filters, filters_of
from nst_kernel.encoder.outline import check_covers
from nst_kernel.encoder.passes import Pass
from nst_kernel.encoder.precision import Precision, type_of_activations
from nst_kernel.encoder.request import Request, layer_of
from nst_kernel.encoder.ring import Border
from nst_kernel.encoder.statistics import Statistic
from nst_kernel.encoder.tiles import TiledPass, has_tiles
from nst_kernel.encoder.weights import IMAGENET_DEVIATION, IMAGENET_MEAN, Weights
from nst_kernel.layers import LAYERS
from nst_kernel.pictures import MIN_SIDE

BGR255_MEAN = (103.939, 116.779, 123.680)


class PassOptions(TypedDict, total=False):
    """How a pass is computed where a caller wants it otherwise than by default; see `Request`."""

    pooling: Literal["avg", "max"]
    border: Border
    checkpoint: bool
    tile: int


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
        self._filters: dict[tuple[str, torch.dtype, torch.device], Filters] = {}

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
        """Return activations after the ReLU by layer name, and statistics of activations by their names.

        Args:
            x: pictures (B, 3, H, W), RGB in [0, 1].
            layers: whose activations (B, N, H', W') are returned, in the type of x.
            statistics: what is returned of activations, such as `GRAM`, in the type of x: by name of the layer, or a
                name that begins with it and a slash.
            precision: of the convolutions from `conv1_2` on; float64 pictures are computed in float64.
            options: pooling, border, checkpoint and tile of the `Request`; by default average pooling, the border that
                the weights want, and everything kept.

        Raises:
            LayerMissing: if the weights do not reach a layer.
            ValueError: if a side has fewer than 16 pixels.
        """
        # The layers that are wanted, each once, and whether they can be had.
        features, statistics = tuple(dict.fromkeys(layers)), dict(statistics or {})
        wanted = {*features, *map(layer_of, statistics)}
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
            dtype=type_of_activations(x, precision),
            border=options.get("border", self.border),
            checkpoint=options.get("checkpoint", False),
            tile=options.get("tile", 0),
        )
        apply: Callable[..., tuple[Tensor, ...]] = TiledPass.apply if has_tiles(x, request) else Pass.apply
        results = apply(x, self, request, torch.is_grad_enabled() and x.requires_grad)
        return (
            dict(zip(features, results, strict=False)),
            dict(zip(statistics, results[len(features) :], strict=True)),
        )

    def normalise(self, x: Tensor) -> Tensor:
        """Return pixels as the first convolution expects them, channels last."""
        x = x.flip(1) if self.input == "bgr255" else x
        return ((x - self.mean) * self.scale).contiguous(memory_format=torch.channels_last)

    def entry(self, x: Tensor, request: Request) -> Tensor:
        """Return what the first convolution reads of pixels x (B, 3, H, W), with the ring of the request's border."""
        if request.dtype == torch.bfloat16 and request.border != "circular" and gpu.serves(x):
            mirrored = request.border == "reflect"
            flip, width = self.input == "bgr255", ring.width(request.border)
            return gpu.split_pixels(x, self.mean, self.scale, flip=flip, ring=width, distance=int(mirrored))
        return ring.enclose(self.normalise(x), request.border)

    def normalise_back(self, g: Tensor) -> Tensor:
        """Return the gradient of pixels from that of their normalised values."""
        g = (g * self.scale).contiguous()
        return g.flip(1) if self.input == "bgr255" else g

    def filters(self, layer: str, dtype: torch.dtype) -> Filters:
        """Return a layer's filters for convolutions in `dtype`; they are converted and laid out once."""
        weight, bias = self.get_buffer(f"{layer}_weight"), self.get_buffer(f"{layer}_bias")
        key = layer, dtype, weight.device
        if key not in self._filters:
            self._filters[key] = filters_of(layer, weight, bias, dtype)
        return self._filters[key]


def border_of(encoder: Vgg19, *, tileable: bool = False) -> Border:
    """Return the padding with which pictures are made: as in a mirror, unless the weights want another than zeros.

    Pictures that are to tile go on at their other side instead.

    A departure from VGG, whose zeros leave a frame of 2 to 4 px on the output: the spread of colours within the outer
    2 px, over that inside, falls from 1.6 to 1.1 on a dark photo (`tests/bench/README.md`). Replicated pixels leave a
    little more; statistics without the outermost positions leave the frame as it is; a margin that is cut off takes it
    away as well, but also 13 % more time and memory at 256 px.
    """
    if tileable:
        return "circular"
    return "reflect" if encoder.border == "zero" else encoder.border
