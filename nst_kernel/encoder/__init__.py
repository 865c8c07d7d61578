"""VGG-19: features and Gram matrices by layer name, and where its weights come from."""

from nst_kernel.encoder.check import Check, check_imagenet, is_embedded
from nst_kernel.encoder.guided import Guided
from nst_kernel.encoder.load import WeightsError, check_pin, load_weights, parse_weights
from nst_kernel.encoder.precision import computing_in, resolve_precision
from nst_kernel.encoder.request import Request
from nst_kernel.encoder.ring import Border
from nst_kernel.encoder.statistics import GRAM, MOMENTS, Gram, Statistic
from nst_kernel.encoder.vgg import Vgg19, border_of
from nst_kernel.encoder.weights import IMAGENET_DEVIATION, IMAGENET_MEAN, LayerMissing, Weights

__all__ = [
    "GRAM",
    "IMAGENET_DEVIATION",
    "IMAGENET_MEAN",
    "MOMENTS",
    "Border",
    "Check",
    "Gram",
    "Guided",
    "LayerMissing",
    "Request",
    "Statistic",
    "Vgg19",
    "Weights",
    "WeightsError",
    "border_of",
    "check_imagenet",
    "check_pin",
    "computing_in",
    "is_embedded",
    "load_weights",
    "parse_weights",
    "resolve_precision",
]
