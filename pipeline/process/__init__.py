"""What a process does about signals, hangs, draining nodes and garbage collection."""

from pipeline.process import draining, garbage, watchdog
from pipeline.process.interrupt import interruptible
from pipeline.process.preemption import Preemption

__all__ = [
    "Preemption",
    "draining",
    "garbage",
    "interruptible",
    "watchdog",
]
