"""Neural style transfer as Gatys, Ecker and Bethge wrote it (arXiv 1508.06576), for batches of pairs."""

from nst_kernel.params import KNOBS, LAYERS, PRESETS, ParamError, StyleParams
from nst_kernel.stylize import Pair, StylizeResult, stylize, stylize_batch
from nst_kernel.vgg import LayerMissing, Vgg19, Weights
from nst_kernel.weights import WeightsError, check_imagenet, load_weights

ALGORITHM_VERSION = 1
"""Raised whenever the same request would give another picture: it is part of what makes a result current."""

__all__ = [
    "ALGORITHM_VERSION",
    "KNOBS",
    "LAYERS",
    "PRESETS",
    "LayerMissing",
    "Pair",
    "ParamError",
    "StyleParams",
    "StylizeResult",
    "Vgg19",
    "Weights",
    "WeightsError",
    "check_imagenet",
    "load_weights",
    "stylize",
    "stylize_batch",
]
