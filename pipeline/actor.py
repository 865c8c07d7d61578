"""StyleActor: the encoder resident on its device; a fetched batch in, pictures and curves out."""

import dataclasses
import gc
import logging
import time

import torch

from nst_kernel import Pair, StylizeResult, Vgg19, stylize_batch
from nst_kernel.precision import resolve_precision
from nst_kernel.transfer import Progress, to_tensor
from pipeline.encoder import load_encoder
from pipeline.items import Failure, Fetched, Optimised, Pictures, PlannedRow

log = logging.getLogger(__name__)


class StyleActor:
    """Keeps an encoder on one device and optimises one batch after the other. It outlives any batch."""

    def __init__(self, weights: str, *, threads: int | None = None, on_iteration: Progress | None = None) -> None:
        """Load the weights onto the GPU that Ray gave this process, or the CPU with `threads` threads."""
        self.on_iteration = on_iteration
        if threads:
            torch.set_num_threads(threads)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.device_name = torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"
        self.encoder: Vgg19 = Vgg19(load_encoder(weights)).to(self.device)

    def __call__(self, fetched: Fetched) -> Optimised:
        """Optimise the rows that have their pictures; the others pass through as they are."""
        clock = time.perf_counter()
        outcomes: dict[int, StylizeResult | Failure] = {}
        servable: list[tuple[int, PlannedRow, Pictures]] = []
        for index, (planned, pictures) in enumerate(zip(fetched.batch.rows, fetched.pictures, strict=True)):
            if isinstance(pictures, Failure):
                outcomes[index] = pictures
            else:
                servable.append((index, planned, pictures))
        outcomes.update(self._optimise(servable))
        in_order = tuple(outcomes[index] for index in range(len(fetched.batch.rows)))
        asked = fetched.batch.rows[0].row.params.precision
        precision = resolve_precision(asked, self.device)
        without_pictures = dataclasses.replace(fetched, pictures=())
        return Optimised(without_pictures, in_order, self.device_name, precision, time.perf_counter() - clock)

    def _optimise(self, rows: list[tuple[int, PlannedRow, Pictures]]) -> dict[int, StylizeResult | Failure]:
        """Together; if that fails each half by itself, so that only the row at fault fails."""
        if not rows:
            return {}
        try:
            pairs = [_pair(planned, pictures) for _, planned, pictures in rows]
            results = stylize_batch(pairs, self.encoder, progress=self.on_iteration)
            return {index: result for (index, _, _), result in zip(rows, results, strict=True)}
        except Exception as error:
            failure = Failure.of(error, "optimising")
        # Outside of the handler, whose traceback would keep the failed attempt's tensors in memory.
        index, planned, _ = rows[0]
        if len(rows) == 1:
            log.warning("row %s: %s", planned.row.id, failure.error)
            return {index: failure}
        log.warning("batch of %d from row %s is split: %s", len(rows), planned.row.id, failure.error)
        gc.collect()
        torch.cuda.empty_cache()
        middle = len(rows) // 2
        return self._optimise(rows[:middle]) | self._optimise(rows[middle:])


def _pair(planned: PlannedRow, pictures: Pictures) -> Pair:
    content, style, init = (
        None if picture is None else to_tensor(picture) for picture in (pictures.content, pictures.style, pictures.init)
    )
    return Pair(content, style, planned.row.params, init)
