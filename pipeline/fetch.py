"""Fetch and decode: a planned batch in, its pictures out. Errors stay with their row."""

import time
from dataclasses import dataclass, field

from nst_kernel import StyleParams
from nst_kernel.params import INITS
from nst_kernel.sizes import fit
from pipeline import images, results, storage
from pipeline.items import Batch, Failure, Fetched, Picture, Pictures, PlannedRow


@dataclass
class _Decoder:
    """Reads each file of a batch once, however many rows share it."""

    decoded: dict[str, Picture] = field(default_factory=dict)

    def __call__(self, uri: str) -> Picture:
        if uri not in self.decoded:
            data = storage.read_bytes(uri)
            try:
                self.decoded[uri] = images.decode(data)
            except images.ImageError as error:
                raise images.ImageError(f"{uri}: {error}") from error
        return self.decoded[uri]


def fetch(batch: Batch) -> Fetched:
    """Read, decode and resize what the rows of a batch need. A row whose picture is bad gets a `Failure`."""
    started_at, clock = results.now(), time.perf_counter()
    decode = _Decoder()
    pictures = tuple(planned.failure or _of_row(planned, decode) for planned in batch.rows)
    return Fetched(batch, pictures, started_at, time.perf_counter() - clock)


def _of_row(planned: PlannedRow, decode: _Decoder) -> Pictures | Failure:
    row, shape = planned.row, planned.shape
    assert shape is not None
    try:
        content = images.resize(decode(row.content), shape) if row.content else None
        # Without a content the style's own shape is the output's.
        style = _style(decode(row.style), row.params, None if row.content else shape) if row.style else None
        init = None if row.params.init in INITS else images.resize(decode(row.params.init), shape)
    except (storage.StorageError, images.ImageError) as error:
        return Failure.of(error)
    except Exception as error:  # whatever a picture does to a decoder concerns its row alone
        return Failure.of(error, f"decoding {row.content} and {row.style}")
    return Pictures(content, style, init)


def _style(picture: Picture, params: StyleParams, shape: tuple[int, int] | None) -> Picture:
    height, width = picture.shape[:2]
    return images.resize(picture, shape or fit(height, width, size=params.size, upscale=params.upscale))
