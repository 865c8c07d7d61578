"""When a run is hopeless: so many failures that going on would only cost."""

from collections.abc import Mapping
from dataclasses import dataclass

EXPECTED = "a number of rows, such as 100, or a share of them, such as 5%"


@dataclass(frozen=True)
class FailureLimit:
    """How many rows of a run may fail or be quarantined.

    Attributes:
        rows: at most; None: any number.
        share: of the rows that a run has to do, at most.
    """

    rows: int | None = None
    share: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "FailureLimit":
        """Of `100` or `5%`.

        Raises:
            ValueError: for anything else.
        """
        number, percent, rest = text.strip().partition("%")
        try:
            if rest:
                raise ValueError(rest)
            if percent and 0 <= float(number) <= 100:
                return cls(share=float(number) / 100)
            if not percent and int(number) >= 0:
                return cls(rows=int(number))
        except ValueError:
            pass
        raise ValueError(f"max_failures = {text!r}: expected {EXPECTED}")

    def exceeded(self, failures: int, total: int) -> bool:
        """Whether so many of so many are too many."""
        return (self.rows is not None and failures > self.rows) or failures > self.share * total

    def after(self, failures: int) -> "FailureLimit":
        """What is left of a number once so many rows have failed; a share is of each part that is run by itself."""
        return self if self.rows is None else FailureLimit(max(0, self.rows - failures))

    def __str__(self) -> str:
        return f"{100 * self.share:g}%" if self.rows is None else f"{self.rows:,}"


NO_LIMIT = FailureLimit()


def failures(counts: Mapping[str, int]) -> int:
    """Rows that came to nothing, of counts by status."""
    return counts.get("failed", 0) + counts.get("quarantined", 0)
