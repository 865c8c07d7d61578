"""One picture to look at a run: content, style, result and loss curve of each row."""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from jobs.pictures import INK, PAPER, Cell, sheet
from pipeline import images, storage
from pipeline.manifest import PICTURE_COLUMNS, each_of
from pipeline.outputs import read_results

CELL = 256
GRID, LINE = (222, 220, 214), (186, 73, 42)


def contact_sheet(output: str, *, limit: int = 12) -> bytes:
    """Return a PNG with a line for each of the first rows of a run that have a picture.

    Args:
        output: the folder given to the run.
        limit: rows at most.

    Raises:
        StorageError: if there are no results, or a picture of theirs is gone.
        ValueError: if no row has a picture.
    """
    table = read_results(output, columns=["id", *PICTURE_COLUMNS, "output", "total_loss", "curve"])
    rows = [row for row in table.to_pylist() if row["output"]][:limit]
    if not rows:
        raise ValueError(f"no row of {output} has a picture")
    captions = (*PICTURE_COLUMNS, "result", "total loss by iteration")
    lines = [
        [Cell(picture, "" if number else caption) for caption, picture in zip(captions, _pictures(row), strict=True)]
        for number, row in enumerate(rows)
    ]
    buffer = io.BytesIO()
    sheet(lines, CELL).save(buffer, "PNG")
    return buffer.getvalue()


def _pictures(row: dict[str, Any]) -> list[Image.Image]:
    """Return what a line of the sheet shows of a row."""
    return [*(_thumbnails(name, row[name]) for name in (*PICTURE_COLUMNS, "output")), _curve(row)]


def _thumbnails(role: str, uris: str | None) -> Image.Image:
    """Return a small copy of a picture, or of several pictures side by side in the width of one."""
    small = [_thumbnail(uri) for uri in each_of(role, uris) or (None,)]
    joined = Image.new("RGB", (sum(each.width for each in small), max(each.height for each in small)), PAPER)
    left = 0
    for each in small:
        joined.paste(each, (left, 0))
        left += each.width
    joined.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return joined


def _thumbnail(uri: str | None) -> Image.Image:
    if uri is None:
        return Image.new("RGB", (CELL, CELL), PAPER)
    picture = Image.fromarray(images.decode(storage.read_bytes(uri)))
    picture.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return picture


def _curve(row: dict[str, object]) -> Image.Image:
    """Draw the total loss over the iterations on a logarithmic scale, drawn large and made small, for smooth lines."""
    curve = row["curve"]
    assert isinstance(curve, dict)
    values = np.asarray(curve["total"], dtype=np.float64)
    cell = Image.new("RGB", (2 * CELL, 2 * CELL), "white")
    draw = ImageDraw.Draw(cell)
    left, top, right, bottom = 84, 20, 2 * CELL - 20, 2 * CELL - 50
    low, high = _decades(values)
    font = ImageFont.load_default(22)
    for power in range(low, high + 1):
        y = _between(bottom, top, (power - low) / (high - low))
        draw.line([(left, y), (right, y)], GRID, 2)
        draw.text((left - 10, y), f"1e{power}", INK, font, anchor="rm")
    for share in (0.0, 0.5, 1.0):
        x = _between(left, right, share)
        draw.text((x, bottom + 12), str(round(share * len(values))), INK, font, anchor="mt")
    draw.line(_points(values, low, high, (left, top, right, bottom)), LINE, 5, joint="curve")
    return cell.resize((CELL, CELL), Image.Resampling.LANCZOS)


def _decades(values: NDArray[np.float64]) -> tuple[int, int]:
    """Return the powers of ten that hold every finite, positive value; at least one decade."""
    usable = values[np.isfinite(values) & (values > 0)]
    if not usable.size:
        return -1, 0
    low, high = math.floor(math.log10(usable.min())), math.ceil(math.log10(usable.max()))
    return low, max(high, low + 1)


def _points(
    values: NDArray[np.float64], low: int, high: int, box: tuple[int, int, int, int]
) -> Sequence[tuple[float, float]]:
    left, top, right, bottom = box
    return [
        (
            _between(left, right, k / max(1, len(values) - 1)),
            _between(bottom, top, (math.log10(value) - low) / (high - low)),
        )
        for k, value in enumerate(values)
        if math.isfinite(value) and value > 0
    ]


def _between(start: float, end: float, share: float) -> float:
    return start + (end - start) * share
