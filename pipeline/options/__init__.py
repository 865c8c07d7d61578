"""What a run may be told: frozen models with defaults and bounds."""

from pipeline.options.access import Access, Places, under_access
from pipeline.options.decoding import DEFAULT_DECODING, Decoding
from pipeline.options.encoding import DEFAULT_ENCODING, ColorProfile, Depth, Encoding
from pipeline.options.failure_limit import EXPECTED, NO_LIMIT, NONE, FailureLimit, failures
from pipeline.options.interruptions import Interruptions
from pipeline.options.model import OptionError, bounds_of
from pipeline.options.names import GIVEN, OPTIONS, Option, run_options
from pipeline.options.resources import Device, Resources, check_actors, overridden
from pipeline.options.run_options import MAX_ATTEMPTS, STALL_TIMEOUT, RunOptions

__all__ = [
    "DEFAULT_DECODING",
    "DEFAULT_ENCODING",
    "EXPECTED",
    "GIVEN",
    "MAX_ATTEMPTS",
    "NONE",
    "NO_LIMIT",
    "OPTIONS",
    "STALL_TIMEOUT",
    "Access",
    "ColorProfile",
    "Decoding",
    "Depth",
    "Device",
    "Encoding",
    "FailureLimit",
    "Interruptions",
    "Option",
    "OptionError",
    "Places",
    "Resources",
    "RunOptions",
    "bounds_of",
    "check_actors",
    "failures",
    "overridden",
    "run_options",
    "under_access",
]
