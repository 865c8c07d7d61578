"""What must survive a crash: attempts, poison rows, the run lock, saved states."""

from pipeline.recovery import ledger, orphans, repeats, saved_states
from pipeline.recovery.attempt import Attempt
from pipeline.recovery.guard import guarded_fetch, guarded_optimise, guarded_write
from pipeline.recovery.ledger import Ledger, observe_attempts
from pipeline.recovery.run_lock import LEASE_SECONDS, Locked, RunLock, owner_of

__all__ = [
    "LEASE_SECONDS",
    "Attempt",
    "Ledger",
    "Locked",
    "RunLock",
    "guarded_fetch",
    "guarded_optimise",
    "guarded_write",
    "ledger",
    "observe_attempts",
    "orphans",
    "owner_of",
    "repeats",
    "saved_states",
]
