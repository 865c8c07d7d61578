"""Why rows have no good picture: reasons that rows with the same trouble share."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST = 1000
"""Reasons that are told apart; a page lists them all."""

OTHER = "another reason"

_PARTICULAR = re.compile(
    r"""[a-z][a-z0-9+.-]*://\S+?(?=[:,;]?(?:\s|$))"""  # a URI
    r"""|'[^']{1,200}'|"[^"]{1,200}\""""  # what is quoted
    r"""|\S*[/\\]\S+?(?=[:,;]?(?:\s|$))"""  # a path
    r"""|\b[\w.-]+\.(?:jpe?g|png|webp|tiff?|gif|avif|heic|bmp)\b"""  # the name of a picture
    r"""|\b[0-9a-f]{8,}\b|\d[\d,.]*""",  # an id, a number
    re.IGNORECASE,
)
"""Parts of an error that tell of one row alone."""

_REASON = 100
"""Characters of a reason's name."""


def reason(status: str, error_class: str | None, error: str | None) -> str:
    """Return why a row is not ok, in words that rows with the same trouble share.

    They are those of the error, up to the end of its first sentence, with `…` for what tells of the row alone; or else
    the class of the error, or the status.
    """
    first = re.split(r"(?<=[^.…])\. |[\n;\u2028]", (error or "").strip(), maxsplit=1)[0]
    words = re.sub(r"\s+", " ", _PARTICULAR.sub("…", first)).strip(" .:")
    words = re.sub(r"^…:? ", "", words)
    if not re.search("[^\\W\\d_]{3}", words):
        return "the loss stopped being finite" if status == "diverged" else error_class or status
    return words if len(words) <= _REASON else f"{words[:_REASON].rstrip()} …"


class Reasons:
    """The reasons of rows by number, as rows come one after the other."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, table: pa.Table) -> pa.Array:
        """Return the number of each row's reason; -1 for a row that is ok.

        Args:
            table: with the columns status, error_class and error of the results.
        """
        failed = np.flatnonzero(pc.not_equal(table["status"], "ok").to_numpy())
        numbers = np.full(len(table), -1, np.int32)
        known = table.select(["status", "error_class", "error"]).take(pa.array(failed))
        for place, row in zip(failed, zip(*(column.to_pylist() for column in known.columns), strict=True), strict=True):
            numbers[place] = self._number(reason(*row))
        return pa.array(numbers)

    def _number(self, name: str) -> int:
        """Return the number of a reason; of one beyond `MOST`, that of all others."""
        if name not in self._numbers and len(self._numbers) >= MOST:
            name = OTHER
        return self._numbers.setdefault(name, len(self._numbers))

    def ranked(self, numbers: pa.Array) -> tuple[pa.Array, Sequence[str]]:
        """Return the numbers of rows' reasons so that the most frequent comes first, and the reasons in that order.

        Args:
            numbers: of all rows that count, as `of` gave them.
        """
        names = list(self._numbers)
        counts = np.bincount(numbers.to_numpy() + 1, minlength=len(names) + 1)[1:]
        order = sorted((k for k in range(len(names)) if counts[k]), key=lambda k: (-counts[k], names[k]))
        ranks = np.full(len(names) + 1, -1, np.int32)  # the last one is of rows that are ok
        ranks[order] = np.arange(len(order))
        return pa.array(ranks[numbers.to_numpy()]), [names[k] for k in order]
