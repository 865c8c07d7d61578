"""Presets: values for some parameters, each with its source."""

import types
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Values for some parameters, and where they come from.

    Attributes:
        source: a paper or program.
        values: by name of the parameter.
        remark: what the values give that their source does not lead one to expect; empty for nothing.
    """

    source: str
    values: Mapping[str, object]
    remark: str = ""


_PAPER: dict[str, object] = {
    "objective": "paper",
    "content_layers": ("conv4_2",),
    "style_layers": ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"),
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
    }
)
