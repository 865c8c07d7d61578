"""Neural style transfer as Gatys, Ecker and Bethge wrote it (arXiv 1508.06576), for batches of pairs."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nst_kernel.encoder.load import WeightsError, check_imagenet, load_weights
    from nst_kernel.encoder.vgg import LayerMissing, Vgg19, Weights
    from nst_kernel.params.style_params import KNOBS, LAYERS, PRESETS, ParamError, StyleParams
    from nst_kernel.result import StylizeResult
    from nst_kernel.transfer.state import Interrupted, State, StateError
    from nst_kernel.transfer.stylize import Pair, stylize, stylize_batch

ALGORITHM_VERSION = 3
"""Raised whenever the same request would give another picture: it is part of what makes a result current."""

__all__ = [
    "ALGORITHM_VERSION",
    "KNOBS",
    "LAYERS",
    "PRESETS",
    "Interrupted",
    "LayerMissing",
    "Pair",
    "ParamError",
    "State",
    "StateError",
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

_HOMES = {
    "nst_kernel.params.style_params": ("KNOBS", "LAYERS", "PRESETS", "ParamError", "StyleParams"),
    "nst_kernel.encoder.vgg": ("LayerMissing", "Vgg19", "Weights"),
    "nst_kernel.encoder.load": ("WeightsError", "check_imagenet", "load_weights"),
    "nst_kernel.result": ("StylizeResult",),
    "nst_kernel.transfer.state": ("Interrupted", "State", "StateError"),
    "nst_kernel.transfer.stylize": ("Pair", "stylize", "stylize_batch"),
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: those who only name parameters need not wait for torch."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
