"""What a run may be told: frozen models with defaults and bounds."""

from pipeline.options.encoding import DEFAULT_ENCODING, Encoding
from pipeline.options.failure_limit import EXPECTED, NO_LIMIT, FailureLimit, failures
from pipeline.options.interruptions import Interruptions
from pipeline.options.model import OptionError
from pipeline.options.resources import Device, Resources, overridden
from pipeline.options.run_options import MAX_ATTEMPTS, STALL_TIMEOUT, RunOptions

__all__ = [
    "DEFAULT_ENCODING",
    "EXPECTED",
    "MAX_ATTEMPTS",
    "NO_LIMIT",
    "STALL_TIMEOUT",
    "Device",
    "Encoding",
    "FailureLimit",
    "Interruptions",
    "OptionError",
    "Resources",
    "RunOptions",
    "failures",
    "overridden",
]
