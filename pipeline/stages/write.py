"""The writing stage: an optimised batch in; its pictures are encoded and written, and then its rows of results."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nst_kernel.result import StylizeResult
from pipeline import images, storage
from pipeline.images import format_of
from pipeline.manifest import PICTURE_COLUMNS
from pipeline.options import DEFAULT_ENCODING, Encoding
from pipeline.outputs import Steps, commit, provenance, write_picture
from pipeline.planning import Failure, Fetched, Optimised, PlannedRow
from pipeline.process import watchdog
from pipeline.recovery import saved_states
from pipeline.stages.frames import frame_columns

AT_ONCE = 16
"""Pictures of a batch that are written side by side."""

AnyImage = NDArray[np.float32] | NDArray[np.uint16] | NDArray[np.uint8]
"""A picture as results have it, (H, W, 3) or (H, W, 4)."""

REPORTED = (
    "id",
    "status",
    "error_class",
    "error",
    "warning",
    "output",
    "total_loss",
    "seconds",
    "retries",
    "started_at",
)
"""Columns that the driver is told of each row."""

NAMED = ("content", "style", "manifest", "manifest_row")
"""Columns that it is also told of a row with an error or a warning, which is shown by its name."""
"""Columns of results that the driver gets of each written row."""

UNIMPROVED = (
    "the loss never fell below its start, so that this is the picture it started from: "
    "lower learning_rate or the weights that hold the picture back, or allow more iterations"
)
"""Warning of a row whose picture is the one that its optimisation started from."""


class Clock:
    """Adds up the seconds that are spent within its `with` blocks."""

    def __init__(self) -> None:
        self.seconds, self._began = 0.0, 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.seconds += time.perf_counter() - self._began


def _told(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns of a row that the driver is told."""
    return (*REPORTED, *NAMED) if row.get("error") or row.get("warning") else REPORTED


class Writer:
    """Commits finished batches to one output folder.

    Attributes:
        output: URI of the folder.
        encoder: name of the encoder, for the results.
        encoder_sha256: of its weights, for the results.
        encoding: how pictures are encoded.
        run: number of the run, for the results.
    """

    def __init__(
        self,
        output: str,
        *,
        encoder: str,
        encoder_sha256: str,
        encoding: Encoding = DEFAULT_ENCODING,
        run: int = 1,
    ) -> None:
        self.output, self.encoder, self.encoder_sha256, self.encoding = output, encoder, encoder_sha256, encoding
        self.run = run

    def __call__(self, optimised: Optimised, places: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Write the pictures of a batch, then one Parquet part with its rows.

        Counts of the batch as a whole, which are its size and its `batch_retries`, go with its first row, and its
        seconds are shared out evenly.

        Args:
            optimised: the batch.
            places: of the rows to write, 0 for the batch's first; None: all of them.

        Returns:
            For each row, its columns in `REPORTED`; `batch_size`, rows of the batch for its first row, else 0; and
            the `traceparent` that it was given.

        Raises:
            StorageError: if the part cannot be written: that concerns every row.
        """
        places = range(len(optimised.outcomes)) if places is None else places
        encoding = threading.Lock()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            rows = list(pool.map(lambda place: self._row(optimised, place, encoding), places))
        before = storage.repeated()
        commit(self.output, rows)
        if 0 in places:
            saved_states.delete(optimised.saved_states)
        reported: list[dict[str, Any]] = [
            {
                **{name: row.get(name) for name in _told(row)},
                "batch_size": 0 if place else len(optimised.outcomes),
                "traceparent": optimised.fetched.batch.rows[place].row.traceparent,
            }
            for place, row in zip(places, rows, strict=True)
        ]
        reported[0]["retries"] += storage.repeated() - before
        return reported

    def _row(self, optimised: Optimised, place: int, encoding: threading.Lock) -> dict[str, Any]:
        """Write the picture of a row, and return its row of results; a picture that cannot be written fails the row.

        Args:
            optimised: the batch.
            place: of the row.
            encoding: held while a picture is encoded, by one row at a time: a task has a CPU or less. Nothing is read
                or written meanwhile.
        """
        took, before = Clock(), storage.repeated()
        fetched, outcome = optimised.fetched, optimised.outcomes[place]
        planned, share = fetched.batch.rows[place], 1 / len(optimised.outcomes)
        retries = fetched.row_retries[place] + (0 if place else fetched.batch_retries)
        made: dict[str, Any] = {}
        if isinstance(outcome, StylizeResult):
            try:
                with took:
                    photo = _photo(planned, self.encoding)
                with encoding, took:
                    data = _encoded(planned, outcome, self.encoder_sha256, self.encoding, photo)
                with took:
                    made = self._made(planned, outcome, data)
            except Exception as error:  # whatever keeps a picture from being written concerns its row alone
                outcome = Failure.of(error)
        row: dict[str, Any] = self._requested(planned, fetched) | {
            "device": optimised.device,
            "precision": optimised.precision,
            "host": provenance.host(),
            "run": self.run,
            "finished_at": provenance.now(),
            "idle_seconds": optimised.waited * share,
            "retries": retries + storage.repeated() - before,
            "seconds": {
                "fetch": fetched.seconds * share,
                "optimise": optimised.seconds * share,
                "write": took.seconds,
            },
        }
        if isinstance(outcome, Failure):
            return row | {"status": outcome.status, "error_class": outcome.error_class, "error": outcome.error}
        return row | made

    def _made(self, planned: PlannedRow, outcome: StylizeResult, data: bytes) -> dict[str, Any]:
        """Write the encoded picture of a row, and return the columns of results about it and what lies beside it.

        Raises:
            Exception: whatever keeps the picture from being written.
        """
        uri = write_picture(self.output, planned.row.output, data, id=planned.row.id, owned=planned.owned)
        watchdog.alive()
        steps = Steps.of_run(self.output, planned.row.output, planned.row.id)
        frames, doubts = frame_columns(steps, planned, outcome)
        warnings = [*([] if outcome.improved else [UNIMPROVED]), *doubts]
        return {"output": uri, **_computed(outcome), **frames, "warning": "; ".join(warnings) or None}

    def _requested(self, planned: PlannedRow, fetched: Fetched) -> dict[str, Any]:
        """Return the columns of results that are known before a row is optimised."""
        row = planned.row
        return {
            "id": row.id,
            "fingerprint": planned.fingerprint,
            **{role: getattr(row, role) for role in PICTURE_COLUMNS},
            "output_name": row.output,
            "params": _params_json(planned),
            "seed": row.params.seed,
            "encoder": self.encoder,
            "encoder_sha256": self.encoder_sha256,
            "versions": json.dumps(dict(provenance.versions())),
            "started_at": fetched.started_at,
            "manifest": row.file,
            "manifest_row": row.number,
        }


def encode_result(
    planned: PlannedRow, outcome: StylizeResult, encoder_sha256: str, encoding: Encoding = DEFAULT_ENCODING
) -> bytes:
    """Return the bytes of a result's picture file, which carries its id, parameters, encoder and versions.

    Args:
        planned: the row.
        outcome: its picture.
        encoder_sha256: of the encoder's weights.
        encoding: quality, depth, colour profile, and whether the content's EXIF, caption, rating and keywords are kept.

    Raises:
        StorageError: if something of the content is to be kept, and it cannot be read again.
    """
    return _encoded(planned, outcome, encoder_sha256, encoding, _photo(planned, encoding))


def _photo(planned: PlannedRow, encoding: Encoding) -> bytes | None:
    """Return as much of a row's content as has what is kept of it; None where nothing is.

    It is read again, so that it need not travel with the pixels through every stage.

    Raises:
        StorageError: if it cannot be read.
    """
    if not planned.row.content or not (encoding.keep_exif or encoding.color_profile == "keep"):
        return None
    return _beginning(planned.row.content)


def _encoded(
    planned: PlannedRow, outcome: StylizeResult, encoder_sha256: str, encoding: Encoding, photo: bytes | None
) -> bytes:
    """Return the bytes of a result's picture file, as `encode_result` does, given what `_photo` returns."""
    metadata = {
        "id": planned.row.id,
        "params": _params_json(planned),
        "encoder_sha256": encoder_sha256,
        "versions": json.dumps(dict(provenance.versions())),
    }
    height, width = outcome.image.shape[:2]
    profile = images.profile_of_photo(photo) if photo and encoding.color_profile == "keep" else None
    kept = images.kept_of(photo, width, height, srgb=profile is None) if photo and encoding.keep_exif else None
    return images.encode(
        _rounded(outcome.image, profile, encoding),
        format=format_of(planned.row.output),
        metadata=metadata,
        quality=encoding.quality,
        kept=kept,
        icc_profile=profile,
    )


def _rounded(image: AnyImage, profile: bytes | None, encoding: Encoding) -> AnyImage:
    """Return a picture that came with `Encoding.bits_before` in a profile, and with the depth that it is written in."""
    if image.dtype != np.uint16 or (profile is None and encoding.bits_before == encoding.depth):
        return image
    words = cast(NDArray[np.uint16], image)
    if profile is not None:
        return images.in_profile(words, profile, bits=encoding.depth)
    return np.asarray(np.rint(words / np.float32(257))).astype(np.uint8)


def _params_json(planned: PlannedRow) -> str:
    """Return every parameter of a row as JSON; a picture among them is named without the secrets of its URI."""
    return json.dumps(storage.each_text(planned.row.params.to_json()), sort_keys=True)


def _beginning(uri: str) -> bytes:
    """Return as much of a photo as has its metadata: the beginning of a JPEG, the whole of most others."""
    head = storage.read_bytes(uri, end=images.JPEG_HEAD)
    return storage.read_bytes(uri) if images.may_follow(head) else head


def _computed(outcome: StylizeResult) -> dict[str, Any]:
    """Return the result columns that come from the optimisation: status, size, iterations, losses and curves."""
    height, width = outcome.image.shape[:2]
    return {
        "status": "diverged" if outcome.diverged else "ok",
        "width": width,
        "height": height,
        "iterations": outcome.iterations,
        "total_loss": outcome.losses["total"],
        "content_loss": outcome.losses["content"],
        "style_loss": outcome.losses["style"],
        "curve": {
            "iteration": range(outcome.iterations),
            **{name: outcome.curve[name] for name in ("total", "content", "style")},
            "style_layers": [
                (name.removeprefix("style/"), values)
                for name, values in outcome.curve.items()
                if name.startswith("style/")
            ],
        },
    }
