"""The batches of a plan: ranges of rows that lie in their order, each made when it is asked for."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nst_kernel.cost import Saving
from pipeline.manifest import Rows
from pipeline.planning.batch import Batch, Failure, PlannedRow


class Planned(NamedTuple):
    """Planned rows as columns, in the order of their batches.

    Attributes:
        rows: of the manifest.
        fingerprints: of everything that decides the picture of each.
        owned: of each, whether results say that the picture under its name is the row's.
        crashes_together: by place, how often a process died that had the row among others; those that are not there
            have none.
        failures: by place, why rows cannot be served; those that are not there can.
    """

    rows: Rows
    fingerprints: pa.Array
    owned: NDArray[np.bool_]
    crashes_together: Mapping[int, int]
    failures: Mapping[int, Failure]


class BatchRange(NamedTuple):
    """Batches that follow each other and have equally many rows of one bucket, or of those that fail at planning.

    Attributes:
        start: place of their first row among the planned ones.
        length: rows of each.
        batches: how many there are.
        shape: (height, width) of the outputs, pixels; None for rows that fail.
        saving: how memory must be saved such that they fit.
    """

    start: int
    length: int
    batches: int
    shape: tuple[int, int] | None
    saving: Saving = "nothing"

    @property
    def rows(self) -> int:
        """How many rows all of these batches have."""
        return self.length * self.batches


class Batches(Sequence[Batch]):
    """Batches in the order in which they are computed.

    Attributes:
        planned: the rows of all of them.
        ranges: of batches, in order; those of a range have equally many rows.
    """

    def __init__(self, planned: Planned, ranges: Sequence[BatchRange], which: range | None = None) -> None:
        """Take planned rows and the ranges of batches that they come to; `which` of these, None for all."""
        self.planned, self.ranges = planned, ranges
        self._ends = np.cumsum([span.batches for span in ranges], dtype=np.int64)
        self._which = range(sum(span.batches for span in ranges)) if which is None else which

    def __len__(self) -> int:
        """Return how many batches there are."""
        return len(self._which)

    @overload
    def __getitem__(self, place: int) -> Batch: ...

    @overload
    def __getitem__(self, place: slice) -> Self: ...

    def __getitem__(self, place: int | slice) -> Batch | Self:
        """Return a batch, or some of them that are made as they are asked for."""
        if isinstance(place, slice):
            return type(self)(self.planned, self.ranges, self._which[place])
        number = self._which[place]
        number_of_range = int(np.searchsorted(self._ends, number, side="right"))
        span = self.ranges[number_of_range]
        start = span.start + (number - (int(self._ends[number_of_range]) - span.batches)) * span.length
        return Batch(tuple(self._row(place, span) for place in range(start, start + span.length)), span.saving)

    def __eq__(self, other: object) -> bool:
        """Return whether another sequence has equal batches in the same order."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    def _row(self, place: int, span: BatchRange) -> PlannedRow:
        """Return a planned row, of a range of batches."""
        rows, fingerprints, owned, together, failures = self.planned
        return PlannedRow(
            rows[place],
            fingerprints[place].as_py(),
            span.shape,
            failures.get(place),
            together.get(place, 0),
            bool(owned[place]),
        )
