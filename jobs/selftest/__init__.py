"""The self-test: quick checks, and a run that is broken on purpose."""

from jobs.selftest.chaos.faults import FAULTS
from jobs.selftest.chaos.stage import Outcome, Stage, connect
from jobs.selftest.checks import findings

__all__ = ["FAULTS", "Outcome", "Stage", "connect", "findings"]
