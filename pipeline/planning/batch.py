"""What flows from stage to stage: planned, fetched, optimised batches. Light, so that no stage imports another's."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nst_kernel.cost import Saving
from nst_kernel.result import StylizeResult
from pipeline.manifest import Row
from pipeline.storage import StorageError, without_secrets

Picture = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W, 3), RGB, of 8 or 16 bits a colour."""

Masks = NDArray[np.uint8]
"""uint8 (R, H, W), where each of R regions is, from 0 to 255."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a row cannot be processed, passed through the pipeline in place of its data.

    Attributes:
        error_class: what kind of error.
        error: what went wrong and what to do.
        status: the status of the row; a row that kills processes is `quarantined`.
    """

    error_class: str
    error: str
    status: Literal["failed", "quarantined"] = "failed"

    @classmethod
    def of(cls, error: BaseException, doing: str = "") -> "Failure":
        """Return the failure that stands for an exception, with what was being done when it was raised."""
        # One class in the results for all that storage refuses, as results had it before it told more of them apart.
        kind = StorageError if isinstance(error, StorageError) else type(error)
        return cls(kind.__name__, without_secrets(f"{doing}: {error}" if doing else str(error)))


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A row of the manifest, and what was decided for it.

    Attributes:
        row: the row of the manifest.
        fingerprint: of everything that decides the picture.
        shape: (height, width) of the output, pixels; None if it could not be found out.
        failure: why it cannot be served, if that is known already.
        crashes_together: how often in earlier runs a process died that had this row among others.
        owned: whether the results of earlier runs say that the picture under the name of its output is the row's.
    """

    row: Row
    fingerprint: str
    shape: tuple[int, int] | None
    failure: Failure | None = None
    crashes_together: int = 0
    owned: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are optimised together.

    Attributes:
        rows: of one shape and `StyleParams.graph`.
        saving: how memory must be saved such that they fit.
    """

    rows: tuple[PlannedRow, ...]
    saving: Saving = "nothing"

    @property
    def is_refused(self) -> bool:
        """Whether every row fails at planning already, so that nothing is computed."""
        return all(planned.failure for planned in self.rows)


@dataclass(frozen=True)
class Pictures:
    """The decoded pictures of one row by role, as `Row.pictures` has them; nothing where the row needs none.

    Masks are those of regions, whatever pictures they were made from: of the content, and of each style.
    """

    content: Picture | None = None
    style: tuple[Picture, ...] = ()
    init: Picture | None = None
    content_mask: Masks | None = None
    style_mask: tuple[Masks, ...] = ()

    def all(self) -> list[Picture | None]:
        """Return every picture in the order of the roles; None for each that has none but masks."""
        masks = () if self.content_mask is None else (self.content_mask, *self.style_mask)
        return [self.content, *(self.style or (None,)), self.init, *masks]


@dataclass(frozen=True)
class Fetched:
    """A batch with its pictures.

    Attributes:
        batch: the rows.
        pictures: for each row, its pictures or why there are none; dropped once they have been optimised.
        started_at: when the batch was taken up, UTC.
        seconds: of fetching and decoding the whole batch.
        row_retries: for each row, requests to storage that were repeated for its pictures.
        batch_retries: requests to storage that were repeated for the batch as a whole, such as for its attempt markers.
    """

    batch: Batch
    pictures: tuple[Pictures | Failure, ...]
    started_at: datetime
    seconds: float
    row_retries: tuple[int, ...]
    batch_retries: int = 0


@dataclass(frozen=True)
class Optimised:
    """A batch with its outcomes.

    Attributes:
        fetched: what was given.
        outcomes: for each row, its result or why there is none.
        device: what computed it, such as cpu or the name of a GPU.
        precision: what its convolutions were computed in.
        seconds: of optimising the whole batch.
        waited: seconds that the actor had nothing to do before it.
        saved_states: URIs of optimiser states saved on the way, of no use once the batch is committed.
    """

    fetched: Fetched
    outcomes: tuple[StylizeResult | Failure, ...]
    device: str
    precision: str
    seconds: float
    waited: float = 0.0
    saved_states: tuple[str, ...] = ()
