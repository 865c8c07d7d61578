"""The comparison of two runs, row by row: losses, times, pictures, and what got worse."""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.comparison.pairing import ComparedRow, paired
from pipeline.comparison.pictures import similarity_of
from pipeline.images import Similarity
from pipeline.manifest import PICTURE_COLUMNS
from pipeline.outputs import SCHEMA, layout, read_results, run_of

PICTURES_AT_ONCE = min(8, os.cpu_count() or 1)
"""Pairs of pictures in memory at a time."""

LOSS_MEANING = (
    "objective",
    "content_weight",
    "style_weight",
    "tv_weight",
    "range_weight",
    "content_layers",
    "style_layers",
    "layer_weights",
    "content_layer_weights",
    "pooling",
)
"""Parameters that decide what a loss is: between rows that differ in one, numbers say nothing."""

_SEVERITY = {"ok": 0, "diverged": 1, "failed": 2, "quarantined": 3}
_HAS_PICTURE = ("ok", "diverged")
_AT_ONCE = 1024


@dataclass(frozen=True)
class Thresholds:
    """From where on a change is for the worse. A status that gets worse always is.

    Attributes:
        loss: share by which a final loss may rise.
        seconds: share by which the seconds of optimising a row may rise.
        min_seconds: by which they have to rise at least, so that the clock's noise does not count.
        psnr: dB that the two pictures must have between them; 0: any.
        ssim: that they must have, up to 1; -1: any.
    """

    loss: float = 0.05
    seconds: float = 0.5
    min_seconds: float = 1.0
    psnr: float = 0.0
    ssim: float = 0.8


@dataclass(frozen=True)
class Change:
    """One row that two runs have in common.

    Attributes:
        key: what the row means in both: content, style, and the parameters that vary within the runs.
        before: the row of the older run, a mapping of result columns (no curve).
        after: that of the newer one.
        loss_ratio: final loss after over before; None where either has none.
        seconds_ratio: optimising seconds after over before; None likewise.
        psnr: of the two pictures, dB; infinite if they are equal; None if they cannot be compared.
        ssim: of the two pictures, up to 1; None likewise.
        worse: what got worse beyond a threshold, as sentences; empty if nothing.
        notes: what cannot be compared and why, and what else to know, as sentences.
    """

    key: Mapping[str, Any]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    loss_ratio: float | None
    seconds_ratio: float | None
    psnr: float | None
    ssim: float | None
    worse: Sequence[str]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Comparison:
    """Two runs.

    Attributes:
        before: output of the older one, a URI.
        after: output of the newer one.
        settings: what all rows of a run share and the runs differ in: name to (before, after).
        changes: rows in common, worst first.
        only_before: rows that the newer run lacks.
        only_after: rows that the older one lacks.
    """

    before: str
    after: str
    settings: Mapping[str, tuple[Any, Any]]
    changes: Sequence[Change]
    only_before: Sequence[Mapping[str, Any]]
    only_after: Sequence[Mapping[str, Any]]

    @property
    def worse(self) -> Sequence[Change]:
        """Rows in which something got worse."""
        return [change for change in self.changes if change.worse]


def compare(
    before: str,
    after: str,
    *,
    thresholds: Thresholds | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Hold the results of a run against those of an older one.

    `pipeline.comparison.pairing` says which rows are the same.

    Args:
        before: output of the older run, a URI; or a grid's, as `run_of` takes it.
        after: output of the newer one.
        thresholds: from where on a change is for the worse.
        on_progress: called with (rows compared, rows in common).

    Raises:
        StorageError: if either has no results, or they cannot be read.
        ValueError: if they have no row in common.
    """
    outputs = before, after = run_of(before), run_of(after)
    olds, news = (_rows(output) for output in outputs)
    pairing = paired(olds, news)
    if not pairing.pairs:
        raise ValueError(
            f"{before} and {after} have no row in common: expected rows with the same content and style pictures. "
            f"They have, for example, {_example(olds)} and {_example(news)}"
        )
    changes: list[Change] = []
    similarities = _similarities(outputs, pairing.pairs)
    for (old, new), alike in zip(pairing.pairs, similarities, strict=True):
        changes.append(_change(old, new, alike, pairing.varying, thresholds or Thresholds()))
        if on_progress:
            on_progress(len(changes), len(pairing.pairs))
    return Comparison(
        before=before,
        after=after,
        settings=_settings(olds, news),
        changes=sorted(changes, key=_worst_first),
        only_before=[row.row for row in pairing.only_before],
        only_after=[row.row for row in pairing.only_after],
    )


def _rows(output: str) -> list[Mapping[str, Any]]:
    columns = [name for name in SCHEMA.names if name != "curve"]
    rows: list[Mapping[str, Any]] = read_results(output, columns=columns).to_pylist()
    return rows


def _example(rows: Sequence[Mapping[str, Any]]) -> str:
    return f"({', '.join(str(rows[0][role]) for role in PICTURE_COLUMNS)})" if rows else "none"


def _settings(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, Any]]:
    """What is the same in all rows of a run, and another in the other run."""
    old, new = _shared(before), _shared(after)
    both = [name for name in dict.fromkeys([*old, *new]) if _SEVERAL not in (old.get(name), new.get(name))]
    return {name: (old.get(name), new.get(name)) for name in both if old.get(name) != new.get(name)}


_SEVERAL = object()


def _shared(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The value that all rows have, by name; `_SEVERAL` where they do not agree."""
    found: dict[str, Any] = {}
    for text in dict.fromkeys(
        json.dumps([row["params"], row["versions"], [row[name] for name in _ABOUT_RUNS]]) for row in rows
    ):
        params, versions, about = json.loads(text)
        said = json.loads(params or "{}")
        said.pop("preset", None)
        said |= {f"versions.{name}": value for name, value in json.loads(versions or "{}").items()}
        said |= {shown: value for shown, value in zip(_ABOUT_RUNS.values(), about, strict=True) if value is not None}
        for name, value in said.items():
            if found.setdefault(name, value) != value:
                found[name] = _SEVERAL
    return found


_ABOUT_RUNS = {
    "encoder": "encoder",
    "encoder_sha256": "encoder_sha256",
    "device": "device",
    "precision": "computed in",
    "host": "host",
}
"""Columns that say how a run was computed, and what settings call them."""


def _similarities(
    outputs: tuple[str, str], pairs: Sequence[tuple[ComparedRow, ComparedRow]]
) -> Iterator[Similarity | None]:
    """Of the pictures of each pair; None where a row has none."""

    def of(pair: tuple[ComparedRow, ComparedRow]) -> Similarity | None:
        if not all(row.row["status"] in _HAS_PICTURE for row in pair):
            return None
        return similarity_of(*(layout.picture_of(output, row.row) for output, row in zip(outputs, pair, strict=True)))

    with ThreadPoolExecutor(PICTURES_AT_ONCE) as pool:
        for start in range(0, len(pairs), _AT_ONCE):
            yield from pool.map(of, pairs[start : start + _AT_ONCE])


def _change(
    old: ComparedRow, new: ComparedRow, alike: Similarity | None, varying: Sequence[str], thresholds: Thresholds
) -> Change:
    before, after = old.row, new.row
    same = [name for name in varying if old.params.get(name) == new.params.get(name)]
    key = {**old.pictures} | {name: old.params.get(name) for name in same}
    incomparable = _incomparable(old, new)
    comparable = alike is not None and not incomparable
    loss_ratio = _ratio(before["total_loss"], after["total_loss"]) if comparable else None
    seconds = _seconds(before), _seconds(after)
    seconds_ratio = _ratio(*seconds) if alike is not None else None
    alike = alike or Similarity()
    worse: list[str] = []
    if _SEVERITY[after["status"]] > _SEVERITY[before["status"]]:
        why = f": {after['error']}" if after["error"] else ""
        worse.append(f"{after['status']}, was {before['status']}{why}")
    if loss_ratio is not None and loss_ratio > 1 + thresholds.loss:
        worse.append(f"loss {after['total_loss']:.4g}, was {before['total_loss']:.4g} ({_rise(loss_ratio)})")
    if seconds_ratio is not None and _is_slower(seconds, thresholds):
        worse.append(f"took {seconds[1]:.3g} s, was {seconds[0]:.3g} s ({_rise(seconds_ratio)})")
    if alike.lost:
        worse.append(f"the picture is gone: {alike.obstacle}")
    if alike.psnr is not None and alike.psnr < thresholds.psnr:
        worse.append(f"the picture differs: PSNR {alike.psnr:.1f} dB, under {thresholds.psnr:g}")
    if alike.ssim is not None and alike.ssim < thresholds.ssim:
        worse.append(f"the picture differs: SSIM {alike.ssim:.3f}, under {thresholds.ssim:g}")
    notes = [f"asked with {name} {_text(new, name)}, was {_text(old, name)}" for name in varying if name not in same]
    if incomparable and before["status"] in _HAS_PICTURE and after["status"] in _HAS_PICTURE:
        notes.append(f"losses mean different things: {', '.join(incomparable)} changed")
    if alike.obstacle and not alike.lost:
        notes.append(f"pictures not compared: {alike.obstacle}")
    if _inputs_changed(before, after):
        notes.append("asked alike, but a source picture was replaced or the algorithm is another")
    return Change(key, before, after, loss_ratio, seconds_ratio, alike.psnr, alike.ssim, worse, notes)


def _incomparable(old: ComparedRow, new: ComparedRow) -> list[str]:
    """What makes the losses of two rows different things."""
    found = [name for name in LOSS_MEANING if old.params.get(name) != new.params.get(name)]
    found += ["encoder"] if old.row["encoder_sha256"] != new.row["encoder_sha256"] else []
    return found + (["the size of the picture"] if _size(old.row) != _size(new.row) else [])


def _size(row: Mapping[str, Any]) -> tuple[int | None, int | None]:
    return row["width"], row["height"]


def _ratio(before: float | None, after: float | None) -> float | None:
    if before is None or after is None or not (math.isfinite(before) and math.isfinite(after)):
        return None
    return after / before if before else (1.0 if not after else math.inf)


def _rise(ratio: float) -> str:
    return f"+{100 * (ratio - 1):.3g} %"


def _seconds(row: Mapping[str, Any]) -> float:
    return float((row["seconds"] or {}).get("optimise") or math.nan)


def _is_slower(seconds: tuple[float, float], thresholds: Thresholds) -> bool:
    before, after = seconds
    return after > before * (1 + thresholds.seconds) and after - before >= thresholds.min_seconds


def _text(row: ComparedRow, name: str) -> str:
    value = row.params.get(name)
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _inputs_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    asked = (*PICTURE_COLUMNS, "params", "encoder_sha256", "output_name")
    marks = before["fingerprint"], after["fingerprint"]
    return all(marks) and marks[0] != marks[1] and all(before[name] == after[name] for name in asked)


def _worst_first(change: Change) -> tuple[object, ...]:
    """By status, by how many things got worse, then by loss, picture and time."""
    return (
        _SEVERITY[change.before["status"]] - _SEVERITY[change.after["status"]],
        -len(change.worse),
        -(change.loss_ratio if change.loss_ratio is not None else 1.0),
        change.ssim if change.ssim is not None else 1.0,
        -(change.seconds_ratio if change.seconds_ratio is not None else 1.0),
        change.before["id"],
    )
