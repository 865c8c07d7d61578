"""Presets: values for some parameters, each with its source."""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PresetWeights = Literal["", "caffe", "torchvision"]
"""Weights of a VGG-19 that the numbers of a preset may hold for; empty: any."""


@dataclass(frozen=True)
class Preset:
    """Values for some parameters, and where they come from.

    Attributes:
        source: a paper or program.
        values: by name of the parameter.
        weights: of the network that the numbers hold for: with others the same numbers give another balance of content
            and style. `caffe` and `torchvision` are the kinds of `encoder.Weights` of these names.
        remark: what the values give that their source does not lead one to expect; empty for nothing.
    """

    source: str
    values: Mapping[str, object]
    weights: PresetWeights = ""
    remark: str = ""


_LAYERS: dict[str, object] = {
    "content_layers": ("conv4_2",),
    "style_layers": ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"),
}

_TO_THE_END: dict[str, object] = {"min_improvement": 0.0}
"""What others published makes a number of evaluations, however little the last ones gain."""

_PAPER: dict[str, object] = {
    "objective": "paper",
    **_TO_THE_END,
    **_LAYERS,
    "content_weight": 1.0,
    "style_weight": 1e3,
    "tv_weight": 0.0,
    "range_weight": 0.0,
    "pooling": "avg",
    "init": "noise",
    "scales": (),
}

_FROM_NOISE: dict[str, object] = {"precision": "fp32", "iterations": (500,)}
"""A picture comes out of noise late, when the gradient is a small difference of large terms, which bf16 rounds away."""

_PROGRAM: dict[str, object] = {
    "objective": "mean",
    **_TO_THE_END,
    **_LAYERS,
    "tv_weight": 0.0,
    "range_weight": 0.0,
    "pooling": "max",
    "init": "content",
    "scales": (),
}
"""What programs have in common. Their borders are zeros, ours a mirror; layers are those after the ReLU."""

_FROM_GREY: dict[str, object] = {"init": "grey", "precision": "fp32", "iterations": (1000,)}
"""Both programs start from the mean colour of ImageNet with hardly any noise on it, which here is grey."""


PRESETS: Mapping[str, Preset] = types.MappingProxyType(
    {
        "default": Preset(
            "ours: relative terms, from the content image, coarse to fine; tuned by eye",
            {},
        ),
        "gatys2015": Preset(
            "Gatys, Ecker, Bethge, arXiv 1508.06576, section Methods; alpha/beta = 1e-3",
            {**_PAPER, **_FROM_NOISE},
            remark="alpha/beta = 1e-3, as it is printed, leaves the style next to no effect with normalised networks "
            "and with the embedded encoder; at 512 px the look appears near style_weight=1e7",
        ),
        "texture": Preset(
            "style alone from white noise (1508.06576, figure 1, style reconstructions)",
            {**_PAPER, "content_weight": 0.0},
        ),
        "reconstruction": Preset(
            "content alone from white noise (1508.06576, figure 1, content reconstructions)",
            {**_PAPER, **_FROM_NOISE, "style_weight": 0.0},
        ),
        "gatys2016": Preset(
            "Gatys, Ecker, Bethge, CVPR 2016, by the authors' notebook leongatys/PytorchNeuralStyleTransfer: 500 "
            "evaluations at 512 px, then 200 at 1024 px. Its weights are 1000/N² for means of (G - A)²",
            {
                **_PROGRAM,
                "content_weight": 1.0,
                "style_weight": 1e3,
                "size": 1024,
                "scales": (512,),
                "iterations": (500, 200),
            },
            weights="caffe",
        ),
        "johnson": Preset(
            "jcjohnson/neural-style, neural_style.lua: its defaults. Its total variation is in the gradient alone, "
            "here it is in the loss too",
            {
                **_PROGRAM,
                **_FROM_GREY,
                "content_weight": 5.0,
                "style_weight": 1e2,
                "tv_form": "sum",
                "tv_weight": 1e-3 * 255**2,  # of pixels up to 255
                "init_noise": 1.36e-5,  # deviation 0.001 of 255: white noise has 1/√12 of 1
            },
            weights="caffe",
        ),
        "anishathalye": Preset(
            "anishathalye/neural-style, neural_style.py and stylize.py: their defaults",
            {
                **_PROGRAM,
                **_FROM_GREY,
                "content_weight": 5.0,
                "style_weight": 5e2,
                "layer_weights": (0.2,) * 5,
                "tv_form": "mean",
                "tv_weight": 1e2 * 255**2,
                "optimizer": "adam",
                "learning_rate": 10 / 255,
                "init_noise": 3.48e-3,  # deviation 0.256 of 255
            },
            weights="caffe",
        ),
        "crowsonkb": Preset(
            "crowsonkb/style-transfer-pytorch, style_transfer.py: its defaults. It starts a scale with the moments of "
            "the one before, and only its first convolution has no zeros beyond the border",
            {
                **_PROGRAM,
                "statistics": "w2",
                "content_weight": 0.015,
                "style_weight": 1.0,
                "layer_weights": tuple(weight / 341 for weight in (256, 64, 16, 4, 1)),
                "tv_form": "nine_point",
                "tv_weight": 2.0,
                "optimizer": "adam",
                "learning_rate": 0.02,
                "adam_beta2": 0.99,
                "clamp": True,
                "averaging": 0.99,
                "scales": "sqrt2",
                "min_scale": 128,
                "iterations": (1000, 500),
            },
            weights="torchvision",
        ),
        "tutorial": Preset(
            "pytorch/tutorials, neural_style_tutorial.py, whose conv_1 to conv_5 are these layers. It takes them "
            "before the ReLU, and clamps pixels before each evaluation",
            {
                **_PROGRAM,
                "content_layers": ("conv2_2",),
                "style_layers": ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"),
                "content_weight": 1.0,
                "style_weight": 1e6,
                "iterations": (300,),
            },
            weights="torchvision",
        ),
    }
)


def preset_values(name: object) -> Mapping[str, object]:
    """Return the values of a preset; none if there is no such preset."""
    return PRESETS[name].values if isinstance(name, str) and name in PRESETS else {}
