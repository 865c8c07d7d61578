"""How a run computes its rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.options.encoding import Encoding
from pipeline.options.failure_limit import NO_LIMIT, FailureLimit
from pipeline.options.resources import Resources

MAX_ATTEMPTS = 2
"""Deaths of a row until it is quarantined."""


STALL_TIMEOUT = 600.0
"""Seconds. An iteration at 4096 px takes half a minute of a slow CPU, and a download ends before (`retry.Policy`)."""


@dataclass(frozen=True)
class Job:
    """How rows are to be computed; the arguments of `run`.

    Attributes:
        source: where the rows come from, for the summary.
        release: whether quarantined rows are tried again, as if none of their processes had died.
        encoding: how pictures are written; what is done already is not written again for it.
    """

    output: str
    weights: str = "embedded"
    resources: Resources = field(default_factory=Resources)
    overwrite: bool = False
    max_attempts: int = MAX_ATTEMPTS
    stall_timeout: float = STALL_TIMEOUT
    max_failures: FailureLimit = NO_LIMIT
    force: bool = False
    source: Mapping[str, object] = field(default_factory=dict)
    release: bool = False
    encoding: Encoding = field(default_factory=Encoding)
