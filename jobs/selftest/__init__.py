"""The self-test: quick checks of what a run needs, and scenarios with injected faults."""

from jobs.selftest.chaos.faults import FAULTS
from jobs.selftest.chaos.scenario import Harness, Outcome, connect
from jobs.selftest.checks import findings

__all__ = ["FAULTS", "Harness", "Outcome", "connect", "findings"]
