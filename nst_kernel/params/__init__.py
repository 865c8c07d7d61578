"""Every parameter of a style transfer, declared once, and the presets."""

from nst_kernel.params.declaration import Parameter, as_text
from nst_kernel.params.names import ALIASES, by_name, own_name
from nst_kernel.params.nearest import did_you_mean, known_name, with_nearest
from nst_kernel.params.presets import PRESETS
from nst_kernel.params.remarks import remarks_on
from nst_kernel.params.rules import INITS, ParamError, Problem
from nst_kernel.params.style_params import PARAMETERS, StyleParams, later_defaults

__all__ = [
    "ALIASES",
    "INITS",
    "PARAMETERS",
    "PRESETS",
    "ParamError",
    "Parameter",
    "Problem",
    "StyleParams",
    "as_text",
    "by_name",
    "did_you_mean",
    "known_name",
    "later_defaults",
    "own_name",
    "remarks_on",
    "with_nearest",
]
