"""VGG-19: features and statistics of them by layer name, of whole pictures or tile by tile; its weights and checks."""

from typing import TYPE_CHECKING

from nst_kernel.encoder.outline import LayerMissing, Outline, WeightsError, check_pin, embedded_outline
from nst_kernel.lazy import lazily

if TYPE_CHECKING:
    from nst_kernel.encoder.check import Check, check_imagenet, is_embedded
    from nst_kernel.encoder.guided import Guided
    from nst_kernel.encoder.load import load_weights, parse_weights
    from nst_kernel.encoder.precision import computing_in, resolve_precision, type_of_activations
    from nst_kernel.encoder.request import Request
    from nst_kernel.encoder.ring import Border
    from nst_kernel.encoder.statistics import GRAM, MOMENTS, Distance, Gram, Statistic
    from nst_kernel.encoder.vgg import Vgg19, border_of
    from nst_kernel.encoder.weights import IMAGENET_DEVIATION, IMAGENET_MEAN, Weights

__all__ = [
    "GRAM",
    "IMAGENET_DEVIATION",
    "IMAGENET_MEAN",
    "MOMENTS",
    "Border",
    "Check",
    "Distance",
    "Gram",
    "Guided",
    "LayerMissing",
    "Outline",
    "Request",
    "Statistic",
    "Vgg19",
    "Weights",
    "WeightsError",
    "border_of",
    "check_imagenet",
    "check_pin",
    "computing_in",
    "embedded_outline",
    "is_embedded",
    "load_weights",
    "parse_weights",
    "resolve_precision",
    "type_of_activations",
]

__getattr__ = lazily(
    __name__,
    {
        "nst_kernel.encoder.check": ("Check", "check_imagenet", "is_embedded"),
        "nst_kernel.encoder.guided": ("Guided",),
        "nst_kernel.encoder.load": ("load_weights", "parse_weights"),
        "nst_kernel.encoder.precision": ("computing_in", "resolve_precision", "type_of_activations"),
        "nst_kernel.encoder.request": ("Request",),
        "nst_kernel.encoder.ring": ("Border",),
        "nst_kernel.encoder.statistics": ("GRAM", "MOMENTS", "Distance", "Gram", "Statistic"),
        "nst_kernel.encoder.vgg": ("Vgg19", "border_of"),
        "nst_kernel.encoder.weights": ("IMAGENET_DEVIATION", "IMAGENET_MEAN", "Weights"),
    },
)
