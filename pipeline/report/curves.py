"""Loss curves with so few points that a page can hold those of many rows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

POINTS, SKETCH_POINTS = 96, 28
"""Points of a row's own curves, and of the curve that is drawn together with thousands of others."""

ROWS_PER_FILE, SKETCHES_PER_FILE = 50, 2000

Numbers = list[float | None]


def curve_files(curves: pa.ChunkedArray) -> Iterator[Mapping[str, Any]]:
    """Yield all curves of each row, `ROWS_PER_FILE` rows at a time.

    Args:
        curves: the column `curve` of rows, in the order of the page.

    Yields:
        `rows`: for each row None, or `i` (iterations), `total`, `content`, `style`, and `layers` by name.
    """
    for start in range(0, len(curves), ROWS_PER_FILE):
        yield {"rows": [_all(curve) for curve in curves.slice(start, ROWS_PER_FILE).to_pylist()]}


def sketch_files(curves: pa.ChunkedArray) -> Iterator[Mapping[str, Any]]:
    """Yield the total loss of each row at few iterations, `SKETCHES_PER_FILE` rows at a time.

    Args:
        curves: the column `curve` of rows, in the order of the page.

    Yields:
        `grids`: iterations that are shown, by length of the curve; `rows`: for each row None, or its length and losses.
    """
    totals = pa.chunked_array([part.field("total") for part in curves.chunks], pa.list_(pa.float32()))
    for start in range(0, len(curves), SKETCHES_PER_FILE):
        grids: dict[int, list[int]] = {}
        rows: list[tuple[int, Numbers] | None] = []
        for total in totals.slice(start, SKETCHES_PER_FILE):
            values = np.asarray(total.values.to_numpy() if total.is_valid else (), dtype=np.float64)
            grid = grids.setdefault(len(values), _grid(len(values))) if len(values) else []
            rows.append((len(values), short(values[grid])) if grid else None)
        yield {"grids": grids, "rows": rows}


def _all(curve: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if not curve or not curve["total"]:
        return None
    total = np.asarray(curve["total"], dtype=np.float64)
    kept = telling(total, POINTS)
    named = {name: curve[name] for name in ("total", "content", "style")}
    layers = dict(curve["style_layers"] or ())
    return {
        "i": [curve["iteration"][k] for k in kept],
        **{name: _at(values, kept) for name, values in named.items()},
        "layers": {name: _at(values, kept) for name, values in layers.items()},
    }


def _at(values: Sequence[float] | None, kept: Sequence[int]) -> Numbers:
    numbers = np.asarray(values or (), dtype=np.float64)
    return short(numbers[kept]) if len(numbers) > kept[-1] else []


def telling(values: NDArray[np.float64], points: int) -> list[int]:
    """Return indices of about `points` values that keep the look of a curve: its ends, and extremes in between.

    The smallest and largest value of each stretch are kept, so that steps where a scale ends and single leaps stay,
    however few points there are. Stretches are shorter at the beginning, where losses fall.

    Args:
        values: of the curve, by iteration.
        points: that are wanted.
    """
    count = len(values)
    if count <= points:
        return list(range(count))
    usable = np.where(np.isfinite(values), values, np.inf)
    kept = {0, count - 1}
    edges = _spread(count, points // 2)
    for low, high in zip(edges, [*edges[1:], count], strict=True):
        kept |= {low + int(np.argmin(usable[low:high])), low + int(np.argmax(usable[low:high]))}
    return sorted(kept)


def _grid(count: int) -> list[int]:
    """Return the iterations of a curve of `count` values that a sketch of it shows."""
    return sorted({*_spread(count, SKETCH_POINTS), count - 1})


def _spread(count: int, points: int) -> list[int]:
    """Return at most `points` indices below `count`: half of them evenly, half of them denser at the beginning."""
    if count <= points:
        return list(range(count))
    even = np.linspace(0, count - 1, points - points // 2)
    early = np.geomspace(1, count, points // 2) - 1
    return sorted({*even.astype(int).tolist(), *early.astype(int).tolist()})


def short(values: NDArray[np.float64]) -> Numbers:
    """Return numbers rounded to four digits; None for one that is not finite, which JSON cannot hold."""
    finite = np.isfinite(values)
    known = np.where(finite & (values != 0), values, 1.0)
    digits = 3 - np.floor(np.log10(np.abs(known)))
    up, down = 10.0 ** np.maximum(digits, 0), 10.0 ** np.maximum(-digits, 0)
    rounded = np.where(values == 0, 0.0, np.round(known * up / down) * down / up)
    return [float(value) if usable else None for value, usable in zip(rounded.tolist(), finite.tolist(), strict=True)]


def number(value: float | None) -> float | None:
    """Return a number rounded to six digits; None for None, and for one that is not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
