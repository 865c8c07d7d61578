"""How many rows may fail before a run is stopped."""

from collections.abc import Mapping

from pipeline.options.model import Options, option

EXPECTED = "a number of rows, such as 100, or a share of them, such as 5%"


class FailureLimit(Options):
    """How many rows of a run may fail or be quarantined before it is stopped."""

    rows: int | None = option(None, "Rows at most; None: any number.", ge=0, library=True)
    share: float = option(1.0, "Share of the rows that a run has to do, at most.", ge=0, le=1, library=True)

    @classmethod
    def parse(cls, text: str, name: str = "max_failures") -> "FailureLimit":
        """Return the limit that a text such as `100` or `5%` describes.

        Raises:
            ValueError: for any other text.
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
        raise ValueError(f"{name} = {text!r}: expected {EXPECTED}")

    def exceeded(self, failures: int, total: int) -> bool:
        """Return whether so many failures of so many rows are more than the limit allows."""
        return (self.rows is not None and failures > self.rows) or failures > self.share * total

    def __str__(self) -> str:
        return f"{100 * self.share:g}%" if self.rows is None else f"{self.rows:,}"


NO_LIMIT = FailureLimit()
NONE = FailureLimit(rows=0)


def failures(counts: Mapping[str, int]) -> int:
    """Return how many rows failed or are quarantined, given the number of rows by status."""
    return counts.get("failed", 0) + counts.get("quarantined", 0)
