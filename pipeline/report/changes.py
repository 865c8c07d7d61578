"""The comparison of two runs on the page: the rows that both have, and the pictures of both."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.comparison import Change, Comparison
from pipeline.manifest import PICTURE_COLUMNS, each_of
from pipeline.report import links
from pipeline.report.curves import number
from pipeline.report.pictures import Pictures, outcomes
from pipeline.report.scripts import chunks
from pipeline.report.thumbs import Shelf

MAX_CHANGES = 2000
"""Rows in common that the page shows, worst first; `nst compare` has all of them."""

CHANGES_PER_FILE = 100


def pictures(comparison: Comparison, shelf: Shelf, *, page: str) -> tuple[Pictures, Pictures]:
    """Return the pictures of the older and of the newer run, one of each for every change that is shown."""
    changes = comparison.changes[:MAX_CHANGES]
    before = outcomes([_whole(change.before) for change in changes], shelf, page=page, output=comparison.before)
    after = outcomes([_whole(change.after) for change in changes], shelf, page=page, output=comparison.after)
    return before, after


def change_files(comparison: Comparison, before: Pictures, after: Pictures) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield the data of each change that is shown, `CHANGES_PER_FILE` at a time."""
    changes = comparison.changes[:MAX_CHANGES]
    yield from chunks([_data(change, k, before, after) for k, change in enumerate(changes)], CHANGES_PER_FILE)


def label(key: Mapping[str, Any]) -> str:
    """Return the key of a change in one line: names of pictures, then parameters."""
    words = []
    for name, value in key.items():
        if name in PICTURE_COLUMNS:
            words += [" + ".join(links.names(each_of(name, value)))] if value else []
        else:
            words.append(f"{name} {value}")
    return ", ".join(words)


def _data(change: Change, k: int, before: Pictures, after: Pictures) -> Mapping[str, Any]:
    """Return the data of one change, the `k`-th."""
    return {
        "label": label(change.key),
        "worse": list(change.worse),
        "changed": list(change.changed),
        "loss_ratio": number(change.loss_ratio),
        "seconds_ratio": number(change.seconds_ratio),
        "psnr": number(change.psnr),
        "same": change.psnr is not None and math.isinf(change.psnr),
        "ssim": number(change.ssim),
        "before": _side(change.before, k, before),
        "after": _side(change.after, k, after),
    }


def _side(row: Mapping[str, Any], k: int, shown: Pictures) -> Mapping[str, Any]:
    """Return the data of one row of the `k`-th change."""
    return {
        "id": row.get("id"),
        "status": row.get("status"),
        "loss": number(row.get("total_loss")),
        "error": str(row.get("error") or "")[:300],
        "thumb": shown.thumbs[k],
        "view": shown.views[k],
        "href": shown.hrefs[k],
    }


def _whole(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row with every column that decides where its picture is and whether it changed."""
    return {name: row.get(name) for name in ("output", "output_name", "fingerprint", "finished_at")}
