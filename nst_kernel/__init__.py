"""Neural style transfer as Gatys, Ecker and Bethge wrote it (arXiv 1508.06576), for batches of pairs."""

from typing import TYPE_CHECKING

from nst_kernel.lazy import lazily

if TYPE_CHECKING:
    from nst_kernel.encoder import LayerMissing, Vgg19, Weights, WeightsError, check_imagenet, load_weights
    from nst_kernel.layers import LAYERS
    from nst_kernel.pair import Pair, Style
    from nst_kernel.params import PARAMETERS, PRESETS, ParamError, StyleParams
    from nst_kernel.pictures import Masked, MaskError, to_uint8, to_uint16
    from nst_kernel.result import StylizeResult
    from nst_kernel.transfer import Interrupted, Observer, State, StateError, stylize, stylize_batch
    from nst_kernel.version import ALGORITHM_VERSION

__all__ = [
    "ALGORITHM_VERSION",
    "LAYERS",
    "PARAMETERS",
    "PRESETS",
    "Interrupted",
    "LayerMissing",
    "MaskError",
    "Masked",
    "Observer",
    "Pair",
    "ParamError",
    "State",
    "StateError",
    "Style",
    "StyleParams",
    "StylizeResult",
    "Vgg19",
    "Weights",
    "WeightsError",
    "check_imagenet",
    "load_weights",
    "stylize",
    "stylize_batch",
    "to_uint8",
    "to_uint16",
]

__getattr__ = lazily(
    __name__,
    {
        "nst_kernel.encoder": (
            "LayerMissing",
            "Vgg19",
            "Weights",
            "WeightsError",
            "check_imagenet",
            "load_weights",
        ),
        "nst_kernel.layers": ("LAYERS",),
        "nst_kernel.pair": ("Pair", "Style"),
        "nst_kernel.params": (
            "PARAMETERS",
            "PRESETS",
            "ParamError",
            "StyleParams",
        ),
        "nst_kernel.pictures": ("Masked", "MaskError", "to_uint8", "to_uint16"),
        "nst_kernel.result": ("StylizeResult",),
        "nst_kernel.transfer": (
            "Interrupted",
            "Observer",
            "State",
            "StateError",
            "stylize",
            "stylize_batch",
        ),
        "nst_kernel.version": ("ALGORITHM_VERSION",),
    },
)
