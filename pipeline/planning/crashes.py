"""Crashes of rows: how often a process died while it worked on them, and when a row is quarantined for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.planning.batch import Failure, PlannedRow
from pipeline.words import counted

RowKey = tuple[str, str]
"""A row's id and fingerprint: another photo or parameter under the same id is another row, with no crashes yet."""


@dataclass(frozen=True)
class Crashes:
    """How often a row was being worked on when its process died.

    Attributes:
        together: with other rows.
        alone: with no other.
        with_run: with its whole run, so that something else is likelier to blame: a kill, a lost machine.
    """

    together: int = 0
    alone: int = 0
    with_run: int = 0

    @property
    def total(self) -> int:
        """How many crashes there were of all kinds."""
        return self.together + self.alone + self.with_run

    def should_quarantine(self, max_attempts: int) -> bool:
        """Return whether the row should be quarantined, since it must be the cause of the crashes.

        It crashed often enough, and at least once alone. Crashes with a whole run weigh half: a row that
        takes its machine down each time is found, and one that happened to be there when a run was killed is not.
        """
        if self.alone and self.together + self.alone >= max_attempts:
            return True
        return self.with_run >= 2 * max_attempts


NO_CRASHES = Crashes()


def row_keys(rows: Iterable[PlannedRow]) -> tuple[RowKey, ...]:
    """Return the id and fingerprint of each planned row, by which the ledger knows it."""
    return tuple((planned.row.id, planned.fingerprint) for planned in rows)


def quarantine_failure(row_id: str, crashes: Crashes) -> Failure:
    """Return the failure of a row that is not tried again, since its processes died."""
    error = (
        f"the process died {counted(crashes.total, 'time')} with row {row_id} in it, at last with no other: "
        "killed for memory, crashed, stood still for longer than --stall-timeout, or stopped from outside. "
        "Look at its pictures and its size; then "
        "`nst retry OUTPUT --quarantined` tries it again"
    )
    return Failure("ProcessDied", error, "quarantined")
