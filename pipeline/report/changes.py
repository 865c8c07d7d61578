"""The comparison of two runs on the page: the rows that both have, and the pictures of both."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.comparison import Change, Comparison
from pipeline.manifest import PICTURE_COLUMNS, each_of
from pipeline.report import links
from pipeline.report.curves import number
from pipeline.report.pictures import OUTCOME_COLUMNS, copies, outcomes, picture
from pipeline.report.scripts import chunks
from pipeline.report.thumbs import Copies

MAX_CHANGES = 2000
"""Rows in common that the page shows, worst first; `nst compare` has all of them."""

CHANGES_PER_FILE = 100


@dataclass(frozen=True)
class Side:
    """The pictures of one run in a comparison, one for each change that is shown.

    Attributes:
        hrefs: links to them; None where a browser cannot follow, or there is no picture.
        copies: small copies of them.
    """

    hrefs: Sequence[str | None]
    copies: Copies


def pictures(comparison: Comparison, *, page: str) -> tuple[Side, Side]:
    """Return the pictures of the older and of the newer run, one of each for every change that is shown."""
    changes = comparison.changes[:MAX_CHANGES]
    before = _pictures([change.before for change in changes], page=page, output=comparison.before)
    return before, _pictures([change.after for change in changes], page=page, output=comparison.after)


def _pictures(rows: Sequence[Mapping[str, Any]], *, page: str, output: str) -> Side:
    """Return the pictures of rows of one run."""
    columns = outcomes([{name: row.get(name) for name in OUTCOME_COLUMNS} for row in rows], page=page, output=output)
    names = columns["picture"].to_pylist()
    uris = [None if name is None else picture(output, name) for name in names]
    return Side([links.href(uri, page=page, output=output) for uri in uris], copies(columns, output))


def change_files(comparison: Comparison, before: Side, after: Side) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield the data of each change that is shown, `CHANGES_PER_FILE` at a time."""
    changes = comparison.changes[:MAX_CHANGES]
    yield from chunks([_data(change, k, before, after) for k, change in enumerate(changes)], CHANGES_PER_FILE)


def label(key: Mapping[str, Any]) -> str:
    """Return the key of a change in one line: names of pictures, then parameters."""
    words = []
    for name, value in key.items():
        if name in PICTURE_COLUMNS:
            words += [" + ".join(links.names(pa.array(each_of(name, value))).to_pylist())] if value else []
        else:
            words.append(f"{name} {value}")
    return ", ".join(words)


def _data(change: Change, k: int, before: Side, after: Side) -> Mapping[str, Any]:
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


def _side(row: Mapping[str, Any], k: int, shown: Side) -> Mapping[str, Any]:
    """Return the data of one row of the `k`-th change."""
    return {
        "id": row.get("id"),
        "status": row.get("status"),
        "loss": number(row.get("total_loss")),
        "error": str(row.get("error") or "")[:300],
        "thumb": shown.copies.thumbs[k].decode() or None,
        "view": shown.copies.views[k].decode() or None,
        "href": shown.hrefs[k],
    }
