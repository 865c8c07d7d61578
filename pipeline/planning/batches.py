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


class Run(NamedTuple):
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
        runs: ranges of equally long ones.
    """

    def __init__(self, planned: Planned, runs: Sequence[Run], which: range | None = None) -> None:
        """Take planned rows and the ranges of batches that they come to; `which` of these, None for all."""
        self.planned, self.runs = planned, runs
        self._ends = np.cumsum([run.batches for run in runs], dtype=np.int64)
        self._which = range(sum(run.batches for run in runs)) if which is None else which

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
            return type(self)(self.planned, self.runs, self._which[place])
        number = self._which[place]
        run_number = int(np.searchsorted(self._ends, number, side="right"))
        run = self.runs[run_number]
        start = run.start + (number - (int(self._ends[run_number]) - run.batches)) * run.length
        return Batch(tuple(self._row(place, run) for place in range(start, start + run.length)), run.saving)

    def __eq__(self, other: object) -> bool:
        """Return whether another sequence has equal batches in the same order."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    def _row(self, place: int, run: Run) -> PlannedRow:
        """Return a planned row, of a range of batches."""
        rows, fingerprints, owned, together, failures = self.planned
        return PlannedRow(
            rows[place],
            fingerprints[place].as_py(),
            run.shape,
            failures.get(place),
            together.get(place, 0),
            bool(owned[place]),
        )
