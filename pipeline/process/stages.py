"""What a run is about before its first row is done, for whoever shows it: a log record each."""

import logging

STAGES = "nst.stage"
"""Name of the logger whose records say what a run does now; nothing of it is an event to keep."""

log = logging.getLogger(STAGES)


def stage(what: str) -> None:
    """Say what the run does from now on, such as `starting Ray`."""
    log.info(what)
