"""The comparison of two runs, row by row: losses, times, pictures, and what got worse."""

import dataclasses
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from nst_kernel.params import PARAMETERS
from pipeline.comparison.pairing import ComparedRow, Pairing, paired
from pipeline.comparison.pictures import similarity_of
from pipeline.images import Similarity
from pipeline.manifest import PICTURE_COLUMNS, name_in_fingerprint
from pipeline.outputs import SCHEMA, name_of, picture_or_reason, query, read_results, run_of
from pipeline.words import counted

PICTURES_AT_ONCE = min(8, os.cpu_count() or 1)
"""Pairs of pictures that are in memory at once."""

LOSS_PARAMETERS = tuple(name for name, parameter in PARAMETERS.items() if parameter.loss)
"""Parameters that decide what a loss is: the losses of rows that differ in one cannot be compared."""

LOWER = 0.01
"""Share by which a loss must fall, for another picture to be a change and nothing worse: more than two ways of
computing the same differ by."""

_SEVERITY = {"ok": 0, "diverged": 1, "failed": 2, "quarantined": 3}
_HAS_PICTURE = ("ok", "diverged")
_AT_ONCE = 1024


@dataclass(frozen=True)
class Thresholds:
    """The sizes of a change from which on it is for the worse; a status that gets worse always is.

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
        key: what the row is in both runs: content, style, and the parameters that vary within the runs.
        before: the row of the older run, a mapping of result columns (no curve).
        after: that of the newer one.
        loss_ratio: final loss after over before; None where either has none.
        seconds_ratio: optimising seconds after over before; None where either has no picture.
        psnr: of the two pictures, dB; infinite if they are equal; None if they cannot be compared.
        ssim: of the two pictures, up to 1; None if they cannot be compared.
        worse: what got worse beyond a threshold, as sentences; empty if nothing.
        notes: what cannot be compared and why, and what else to know, as sentences.
        changed: what is another beyond a threshold and not for the worse, as sentences: the picture of a lower loss.
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
    changed: Sequence[str] = ()


@dataclass(frozen=True)
class Comparison:
    """The comparison of two runs.

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

    def __str__(self) -> str:
        """Return what the comparison found, and the rows that got worse."""
        said = f"{len(self.worse):,} of {counted(len(self.changes), 'row')} got worse, {len(self.changed):,} changed"
        lines = [f"{', '.join(map(str, change.key.values()))}: {'; '.join(change.worse)}" for change in self.worse[:20]]
        return "\n  ".join([said, *lines])

    @property
    def worse(self) -> Sequence[Change]:
        """Rows in which something got worse."""
        return [change for change in self.changes if change.worse]

    @property
    def changed(self) -> Sequence[Change]:
        """Rows in which something changed and nothing got worse."""
        return [change for change in self.changes if change.changed and not change.worse]


def compare(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    *,
    thresholds: Thresholds | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Return what changed between the results of two runs.

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
    outputs = before, after = run_of(os.fspath(before)), run_of(os.fspath(after))
    olds, news = (_rows(output) for output in outputs)
    pairing = paired(olds, news)
    if not pairing.pairs:
        raise ValueError(
            f"{before} and {after} have no row in common: expected rows with the same content and style pictures. "
            f"They have, for example, {_example(olds)} and {_example(news)}"
        )
    changes = list(_changes(outputs, pairing, thresholds or Thresholds(), on_progress))
    return Comparison(
        before=before,
        after=after,
        settings=_settings(olds, news),
        changes=sorted(changes, key=_worst_first),
        only_before=[row.row for row in pairing.only_before],
        only_after=[row.row for row in pairing.only_after],
    )


def _changes(
    outputs: tuple[str, str],
    pairing: Pairing,
    thresholds: Thresholds,
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[Change]:
    """Yield the change of each row that two runs have in common."""
    similarities = _similarities(outputs, pairing.pairs)
    for count, ((old, new), alike) in enumerate(zip(pairing.pairs, similarities, strict=True), start=1):
        yield _change(old, new, alike, pairing.varying, thresholds)
        if on_progress:
            on_progress(count, len(pairing.pairs))


def _rows(output: str) -> list[Mapping[str, Any]]:
    """Return the results of a run without their curves."""
    columns = [name for name in SCHEMA.names if name != "curve"]
    rows: list[Mapping[str, Any]] = read_results(output, columns=columns).to_pylist()
    return rows


def _example(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the pictures of the first row, for a message."""
    return f"({', '.join(str(rows[0][role]) for role in PICTURE_COLUMNS)})" if rows else "none"


def _settings(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, Any]]:
    """Return what all rows of each run share and the two runs differ in: name to (before, after)."""
    old, new = _shared(before), _shared(after)
    both = [name for name in dict.fromkeys([*old, *new]) if _SEVERAL not in (old.get(name), new.get(name))]
    return {name: (old.get(name), new.get(name)) for name in both if old.get(name) != new.get(name)}


_SEVERAL = object()


def _shared(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the value that all rows have, by name; `_SEVERAL` where they differ."""
    shared: dict[str, Any] = {}
    for text in dict.fromkeys(
        json.dumps([row["params"], row["versions"], [row[name] for name in _ABOUT_RUNS]]) for row in rows
    ):
        params, versions, about = json.loads(text)
        facts = {name: value for name, value in query.parameters_of(params or "").items() if name != "preset"}
        facts |= {f"versions.{name}": value for name, value in json.loads(versions or "{}").items()}
        facts |= {shown: value for shown, value in zip(_ABOUT_RUNS.values(), about, strict=True) if value is not None}
        for name, value in facts.items():
            if shared.setdefault(name, value) != value:
                shared[name] = _SEVERAL
    return shared


_ABOUT_RUNS = {
    "encoder": "encoder",
    "encoder_sha256": "encoder_sha256",
    "device": "device",
    "precision": "computed in",
    "host": "host",
}
"""Columns of how a run was computed, and what settings call them."""


def _similarities(
    outputs: tuple[str, str], pairs: Sequence[tuple[ComparedRow, ComparedRow]]
) -> Iterator[Similarity | None]:
    """Yield the similarity of each pair's pictures; None where a row has no picture."""

    def of(pair: tuple[ComparedRow, ComparedRow]) -> Similarity | None:
        if not all(row.row["status"] in _HAS_PICTURE for row in pair):
            return None
        return similarity_of(*(picture_or_reason(output, row.row) for output, row in zip(outputs, pair, strict=True)))

    with ThreadPoolExecutor(PICTURES_AT_ONCE) as pool:
        for start in range(0, len(pairs), _AT_ONCE):
            yield from pool.map(of, pairs[start : start + _AT_ONCE])


def _change(
    old: ComparedRow, new: ComparedRow, alike: Similarity | None, varying: Sequence[str], thresholds: Thresholds
) -> Change:
    """Return the change of one row.

    Args:
        old: the row in the older run.
        new: the row in the newer run.
        alike: similarity of the pictures; None where a row has no picture.
        varying: names of parameters that vary within the runs.
        thresholds: from where on a change is for the worse.
    """
    before, after = old.row, new.row
    same = [name for name in varying if old.params.get(name) == new.params.get(name)]
    incomparable = _incomparable(old, new)
    change = Change(
        key={**old.pictures} | {name: old.params.get(name) for name in same},
        before=before,
        after=after,
        loss_ratio=None if alike is None or incomparable else _ratio(before["total_loss"], after["total_loss"]),
        seconds_ratio=None if alike is None else _ratio(_seconds(before), _seconds(after)),
        psnr=alike.psnr if alike else None,
        ssim=alike.ssim if alike else None,
        worse=(),
    )
    notes = [
        f"requested with {name} {_text(new, name)}, was {_text(old, name)}" for name in varying if name not in same
    ]
    if incomparable and alike is not None:
        notes.append(f"losses mean different things: {', '.join(incomparable)} changed")
    if alike is not None and alike.obstacle and not alike.lost:
        notes.append(f"pictures not compared: {alike.obstacle}")
    if _inputs_changed(before, after):
        notes.append("requested alike, but a source picture was replaced or the algorithm is another")
    worse, differs = list(_worse(change, alike, thresholds)), list(_other_picture(change, thresholds))
    if change.loss_ratio is not None and change.loss_ratio < 1 - LOWER:
        changed = [f"{each}; its loss is lower ({_rise(change.loss_ratio)})" for each in differs]
        return dataclasses.replace(change, worse=worse, changed=changed, notes=notes)
    return dataclasses.replace(change, worse=[*worse, *differs], notes=notes)


def _worse(change: Change, alike: Similarity | None, thresholds: Thresholds) -> Iterator[str]:
    """Yield what got worse in a row beyond a threshold, as sentences."""
    before, after = change.before, change.after
    seconds = _seconds(before), _seconds(after)
    if _SEVERITY[after["status"]] > _SEVERITY[before["status"]]:
        why = f": {after['error']}" if after["error"] else ""
        yield f"{after['status']}, was {before['status']}{why}"
    if change.loss_ratio is not None and change.loss_ratio > 1 + thresholds.loss:
        yield f"loss {after['total_loss']:.4g}, was {before['total_loss']:.4g} ({_rise(change.loss_ratio)})"
    if change.seconds_ratio is not None and _is_slower(seconds, thresholds):
        yield f"took {seconds[1]:.3g} s, was {seconds[0]:.3g} s ({_rise(change.seconds_ratio)})"
    if alike is not None and alike.lost:
        yield f"the picture is gone: {alike.obstacle}"


def _other_picture(change: Change, thresholds: Thresholds) -> Iterator[str]:
    """Yield that the picture of a row is another one, beyond a threshold, as sentences."""
    if change.psnr is not None and change.psnr < thresholds.psnr:
        yield f"the picture differs: PSNR {change.psnr:.1f} dB, under {thresholds.psnr:g}"
    if change.ssim is not None and change.ssim < thresholds.ssim:
        yield f"the picture differs: SSIM {change.ssim:.3f}, under {thresholds.ssim:g}"


def _incomparable(old: ComparedRow, new: ComparedRow) -> list[str]:
    """Return what makes the losses of two rows incomparable: names of parameters and of other differences."""
    names = [name for name in LOSS_PARAMETERS if old.params.get(name) != new.params.get(name)]
    names += ["encoder"] if old.row["encoder_sha256"] != new.row["encoder_sha256"] else []
    return names + (["the size of the picture"] if _size(old.row) != _size(new.row) else [])


def _size(row: Mapping[str, Any]) -> tuple[int | None, int | None]:
    return row["width"], row["height"]


def _ratio(before: float | None, after: float | None) -> float | None:
    """Return after over before; None where either is missing or not finite."""
    if before is None or after is None or not (math.isfinite(before) and math.isfinite(after)):
        return None
    return after / before if before else (1.0 if not after else math.inf)


def _rise(ratio: float) -> str:
    """Return a ratio in words, such as +5 % or -12 %."""
    return f"{100 * (ratio - 1):+.3g} %"


def _seconds(row: Mapping[str, Any]) -> float:
    """Return the seconds that optimising a row took; NaN where they are not known."""
    return float((row["seconds"] or {}).get("optimise") or math.nan)


def _is_slower(seconds: tuple[float, float], thresholds: Thresholds) -> bool:
    """Return whether seconds (before, after) rose beyond both thresholds."""
    before, after = seconds
    return after > before * (1 + thresholds.seconds) and after - before >= thresholds.min_seconds


def _text(row: ComparedRow, name: str) -> str:
    """Return the value of a parameter as text."""
    value = row.params.get(name)
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _inputs_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether two rows request the same with another fingerprint: a picture or the algorithm changed."""
    request = (*PICTURE_COLUMNS, "params", "encoder_sha256")
    marks = before["fingerprint"], after["fingerprint"]
    names = [name_in_fingerprint(name_of(row), row["id"]) for row in (before, after)]
    alike = names[0] == names[1] and all(before[name] == after[name] for name in request)
    return all(marks) and marks[0] != marks[1] and alike


def _worst_first(change: Change) -> tuple[object, ...]:
    """Return the sort key of a change: by status, by how many things got worse, then by loss, picture and time."""
    return (
        _SEVERITY[change.before["status"]] - _SEVERITY[change.after["status"]],
        -len(change.worse),
        -len(change.changed),
        -(change.loss_ratio if change.loss_ratio is not None else 1.0),
        change.ssim if change.ssim is not None else 1.0,
        -(change.seconds_ratio if change.seconds_ratio is not None else 1.0),
        change.before["id"],
    )
