"""Every parameter of a style transfer, declared once, and the presets."""

from nst_kernel.params.presets import PRESETS
from nst_kernel.params.rules import INITS, ParamError, Problem
from nst_kernel.params.style_params import ALIASES, KNOBS, StyleParams

__all__ = ["ALIASES", "INITS", "KNOBS", "PRESETS", "ParamError", "Problem", "StyleParams"]
