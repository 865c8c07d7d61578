"""Pictures on the way: encoded and written while the optimisation goes on, and shown one after the other at its end."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from nst_kernel.pictures import fit, to_uint8
from nst_kernel.result import StylizeResult
from pipeline import images, storage
from pipeline.outputs import OutputTaken, Steps, evaluations_kept
from pipeline.planning import PlannedRow
from pipeline.process import watchdog

log = logging.getLogger(__name__)

AHEAD = 8
"""Pictures that wait to be written, at most: then the optimisation waits too."""

SHOWN, SIDE = 60, 768
"""Pictures that an animation has at most, and pixels of its long side."""

AGAIN = 1.2
"""How many times the least loss so far a loss must be to begin anew, as it does where the scale changes."""


class FrameWriter:
    """Writes pictures on the way in a thread, in order. One that cannot be written costs its row no more than itself.

    Attributes:
        steps_of: returns where a row's pictures on the way lie.
    """

    def __init__(self, steps_of: Callable[[PlannedRow], Steps]) -> None:
        self.steps_of = steps_of
        self._thread = ThreadPoolExecutor(1, "frames")
        self._pending: deque[Future[None]] = deque()

    def put(self, planned: PlannedRow, evaluation: int, picture: NDArray[Any]) -> None:
        """Write a picture on the way soon; if many are waiting already, wait.

        Args:
            planned: its row.
            evaluation: after which it was taken.
            picture: (H, W, 3) or (H, W, 4), float in [0, 1] or uint8.
        """
        while len(self._pending) >= AHEAD:
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._write, planned, evaluation, picture))

    def finish(self, rows: Sequence[PlannedRow], outcomes: Sequence[object]) -> None:
        """Write the pictures of rows that have a result as the last ones on their way, and wait until all are written.

        Args:
            rows: of a batch.
            outcomes: of each row.
        """
        for planned, outcome in zip(rows, outcomes, strict=True):
            every = planned.row.params.save_every
            if every and isinstance(outcome, StylizeResult) and outcome.iterations % every:
                self.put(planned, outcome.iterations, outcome.image)
        self.flush()

    def flush(self) -> None:
        """Wait until everything is written."""
        while self._pending:
            self._pending.popleft().result()

    def _write(self, planned: PlannedRow, evaluation: int, picture: NDArray[Any]) -> None:
        steps = self.steps_of(planned)
        try:
            steps.write(evaluation, images.encode(to_uint8(picture), metadata=steps.metadata(evaluation)))
        except (storage.StorageError, images.ImageError, OutputTaken) as error:
            log.warning("row %s: its picture after %d evaluations is not kept: %s", planned.row.id, evaluation, error)
        watchdog.alive()


def frame_columns(steps: Steps, planned: PlannedRow, outcome: StylizeResult) -> tuple[dict[str, Any], list[str]]:
    """Return the columns of results about the pictures on the way of a row, and warnings where some are missing.

    Those that an earlier computation left there are deleted, and the animation is made that the row asks for.

    Args:
        steps: where they lie.
        planned: the row.
        outcome: its result.
    """
    params = planned.row.params
    expected = evaluations_kept(params.save_every, outcome.iterations)
    if not expected:
        return {}, []
    warnings: list[str] = []
    columns: dict[str, Any] = {}
    try:
        there = columns["frames"] = steps.tidied(expected)
        if missing := sorted(set(expected) - set(there)):
            warnings.append(f"pictures on the way are missing, after {_listed(missing)} evaluations: see the log")
        if params.animation != "none" and there:
            _animate(steps, there, outcome, params.animation)
            columns["animation"] = params.animation
    except Exception as error:  # whatever keeps them from being shown is no reason to have no picture
        warnings.append(f"pictures on the way: {storage.without_secrets(str(error))}")
    return columns, warnings


def _animate(steps: Steps, there: Sequence[int], outcome: StylizeResult, format: Literal["webp", "gif"]) -> None:
    """Write the animation of pictures on the way, all as large as the last one, on white where they are transparent."""
    height, width = outcome.image.shape[:2]
    shape = fit(height, width, size=SIDE)
    pictures = []
    for evaluation in shown(there, outcome.curve["total"]):
        pictures.append(to_uint8(images.decode_to(storage.read_bytes(steps.frame(evaluation)), shape)[0]))
        watchdog.alive()
    steps.write_animation(format, images.animated(pictures, format=format, metadata=steps.metadata(outcome.iterations)))


def shown(evaluations: Sequence[int], losses: NDArray[np.float64]) -> list[int]:
    """Return which pictures on the way an animation shows: at even steps of the logarithm of the loss, and the last.

    At even steps of time nearly all of them would look like the result.

    Args:
        evaluations: after which there are pictures, ascending.
        losses: of each evaluation.
    """
    progress, fallen, least = np.zeros(len(losses) + 1), 0.0, np.inf
    for n, loss in enumerate(np.maximum(losses, np.finfo(np.float64).tiny), 1):
        if np.isfinite(loss):
            if least < np.inf and loss < least:
                fallen += float(np.log(least / loss))
            least = loss if loss > AGAIN * least else min(least, loss)
        progress[n] = fallen
    at = progress[list(evaluations)]
    steps = np.linspace(0, at[-1], SHOWN)
    first = np.searchsorted(at, steps).clip(max=len(at) - 1)
    return [evaluations[place] for place in sorted({*cast(list[int], first.tolist()), len(at) - 1})][-SHOWN:]


def _listed(numbers: Sequence[int]) -> str:
    """Return numbers as a sentence has them, the first few of many."""
    return ", ".join(map(str, numbers[:5])) + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")
