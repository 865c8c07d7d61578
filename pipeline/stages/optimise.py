"""The optimising stage: an actor that keeps the encoder on its device; a fetched batch in, pictures and curves out."""

import contextlib
import dataclasses
import gc
import hashlib
import itertools
import logging
import os
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from nst_kernel import Observer, Pair, State, StylizeResult, Vgg19, stylize_batch
from nst_kernel.cost import Saving
from nst_kernel.encoder import resolve_precision
from nst_kernel.objective import GramCache
from nst_kernel.pictures import to_tensor, to_uint8, to_uint16
from pipeline.encoder import load_encoder
from pipeline.planning import Failure, Fetched, Masks, Optimised, Picture, Pictures, PlannedRow, cost
from pipeline.stages.resumable import OnIteration, ResumableOptimisation

log = logging.getLogger(__name__)

_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "alloc_failed", "unable to find an engine to execute")
"""Parts of the messages by which torch, oneDNN and cuDNN report that memory is short."""

_Ready = tuple[int, PlannedRow, Pictures]
"""A row that has its pictures, with its place in the batch in front."""


class StyleActor:
    """An encoder on one device, which optimises one batch after the other.

    Attributes:
        on_iteration: is called after each iteration.
        resumable: deadlines, and when states are saved.
        device: what computes.
        device_name: cpu, or the name of the GPU.
        encoder: VGG-19 with its weights.
        grams: Gram matrices of the styles that were used last.
        depth: bits to which pictures are rounded, 8 or 16.
        free_since: when the last batch ended, by `time.perf_counter`.
    """

    def __init__(
        self,
        weights: str,
        *,
        threads: int | None = None,
        on_iteration: OnIteration | None = None,
        resumable: ResumableOptimisation | None = None,
        depth: int = 8,
    ) -> None:
        """Load the weights onto the GPU that Ray gave this process, or, if `threads` are given, onto the CPU.

        Args:
            weights: name, path or URI of the encoder's weights.
            threads: of the CPU; None: as many as torch finds best.
            on_iteration: is called after each iteration.
            resumable: deadlines, and when states are saved; by default there are no deadlines and nothing is saved.
            depth: bits to which pictures are rounded, 8 or 16.
        """
        self.on_iteration, self.resumable = on_iteration, resumable or ResumableOptimisation()
        self.depth = depth
        if threads:
            torch.set_num_threads(threads)
        self.device = torch.device("cuda" if torch.cuda.is_available() and not threads else "cpu")
        self.device_name = torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"
        self.encoder: Vgg19 = Vgg19(load_encoder(weights)).to(self.device)
        self.grams = GramCache()
        self.free_since = time.perf_counter()

    def __call__(self, fetched: Fetched) -> Optimised:
        """Optimise the rows that have their pictures; a `Failure` in the place of pictures becomes the outcome."""
        clock = time.perf_counter()
        waited = clock - self.free_since
        outcomes: dict[int, StylizeResult | Failure] = {}
        ready: list[_Ready] = []
        for index, (planned, pictures) in enumerate(zip(fetched.batch.rows, fetched.pictures, strict=True)):
            if isinstance(pictures, Failure):
                outcomes[index] = pictures
            else:
                ready.append((index, planned, pictures))
        self.resumable.touched.clear()
        with self.resumable.preemption.working() if self.resumable.preemption else contextlib.nullcontext():
            outcomes.update(self._optimise(ready, saving=fetched.batch.saving))
        in_order = tuple(_packed(outcomes[index], self.depth) for index in range(len(fetched.batch.rows)))
        precision = resolve_precision(fetched.batch.rows[0].row.params.precision, self.device)
        without_pictures = dataclasses.replace(fetched, pictures=())
        self.free_since = time.perf_counter()
        seconds = self.free_since - clock
        saved_states = tuple(dict.fromkeys(self.resumable.touched))
        return Optimised(without_pictures, in_order, self.device_name, precision, seconds, waited, saved_states)

    def _optimise(self, rows: list[_Ready], *, saving: Saving) -> dict[int, StylizeResult | Failure]:
        """Return the outcome of each row by its place; where a batch fails, its halves are tried, down to single rows.

        A single row that is out of memory has another try for each way to save more of it.
        """
        if not rows:
            return {}
        try:
            results = self._transfer(rows, saving=saving)
            return {index: result for (index, _, _), result in zip(rows, results, strict=True)}
        except Exception as error:
            failure, short_of_memory = Failure.of(error, "optimising"), is_out_of_memory(error)
        # Outside of the handler, whose traceback would keep the failed attempt's tensors in memory.
        gc.collect()
        if self.device.type == "cuda":
            self._check_device()
        index, planned, _ = rows[0]
        if len(rows) > 1:
            log.warning("batch of %d from row %s is split: %s", len(rows), planned.row.id, failure.error)
            middle = len(rows) // 2
            halves = (self._optimise(half, saving=saving) for half in (rows[:middle], rows[middle:]))
            return {index: outcome for half in halves for index, outcome in half.items()}
        if short_of_memory and (more := _next_saving(saving, planned)):
            log.warning("row %s is tried again with less memory (%s): %s", planned.row.id, more, failure.error)
            return self._optimise(rows, saving=more)
        log.warning("row %s: %s", planned.row.id, failure.error)
        return {index: failure}

    def _check_device(self) -> None:
        """Free the memory that libraries keep cached; end the process if it can no longer use the device.

        After an illegal access or a hardware error everything that follows fails too, whatever row caused it. Ending
        is a crash to the ledger: Ray starts another actor, and the rows are tried one by one.
        """
        try:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
        except Exception:
            log.exception("the GPU is of no use to this process any more, which ends")
            logging.shutdown()
            os._exit(1)

    def _transfer(self, rows: list[_Ready], *, saving: Saving) -> Sequence[StylizeResult | Failure]:
        """Optimise rows together, in segments, and return their outcomes in order."""
        pairs = [self._pair(planned, pictures) for _, planned, pictures in rows]

        def transfer(observer: Observer, resume: State | None) -> list[StylizeResult]:
            return stylize_batch(pairs, self.encoder, observer=observer, grams=self.grams, saving=saving, resume=resume)

        pictures = _digest([pictures for _, _, pictures in rows])
        planned_rows = [planned for _, planned, _ in rows]
        return self.resumable.optimise(planned_rows, transfer, pictures=pictures, on_iteration=self.on_iteration)

    def _pair(self, planned: PlannedRow, pictures: Pictures) -> Pair:
        """Return a row as a sample of the kernel: its pictures as tensors on the device, and its parameters."""
        (content, opacity), (init, _) = (_split(picture, self.device) for picture in (pictures.content, pictures.init))
        split = [_split(style, self.device) for style in pictures.style]
        styles = [style for style, _ in split if style is not None]
        keys = [_key(*arrays) for arrays in itertools.zip_longest(pictures.style, pictures.style_mask)]
        pair = Pair.of(content, styles, planned.row.params, init, keys=keys, output=planned.shape)
        if pictures.content_mask is not None:
            masks = [torch.from_numpy(each.copy()).to(self.device).float() / 255 for each in pictures.style_mask]
            pair = pair.within(torch.from_numpy(pictures.content_mask.copy()).to(self.device).float() / 255, masks)
        keep = planned.row.params.transparency == "keep"
        return pair.cut_out(opacity, [own for _, own in split]) if keep else pair


def _split(picture: Picture | None, device: torch.device) -> tuple[Tensor | None, Tensor | None]:
    """Return a picture as a tensor (3, H, W) on a device, and its opacity (H, W), if it has one."""
    if picture is None:
        return None, None
    opacity = to_tensor(picture[..., 3:].repeat(3, axis=2), device)[0] if picture.shape[2] == 4 else None
    return to_tensor(picture[..., :3], device), opacity


def _next_saving(saving: Saving, planned: PlannedRow) -> Saving | None:
    """Return the way to save more memory than by another one for a row; None if there is none."""
    savings = cost.savings_of(planned.shape) if planned.shape else ()
    following = savings[savings.index(saving) + 1 :] if saving in savings else ()
    return following[0] if following else None


def _key(style: Picture, masks: Masks | None) -> str:
    """Return a digest of a style and its masks."""
    digest = hashlib.blake2b(style.tobytes(), digest_size=16)
    if masks is not None:
        digest.update(f"{masks.shape}".encode() + masks.tobytes())
    return digest.hexdigest()


def _packed(outcome: StylizeResult | Failure, depth: int) -> StylizeResult | Failure:
    """Round a picture to the depth that is written: floats would be four times as large on their way as 8 bits."""
    if isinstance(outcome, Failure):
        return outcome
    return dataclasses.replace(outcome, image=(to_uint16 if depth == 16 else to_uint8)(outcome.image))


def _digest(rows: Sequence[Pictures]) -> str:
    """Return a hash of every pixel of a batch's pictures."""
    pixels = hashlib.blake2b(digest_size=16)
    for pictures in rows:
        for picture in pictures.all():
            pixels.update(b"none" if picture is None else f"{picture.shape}".encode())
            if picture is not None:
                pixels.update(picture.tobytes())
    return pixels.hexdigest()


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that a device, or the machine itself, is out of memory."""
    message = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in message for words in _OUT_OF_MEMORY)
