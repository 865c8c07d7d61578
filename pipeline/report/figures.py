"""The figures of a run: its rows by status, throughput, devices, and versions."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.outputs import STATUSES, PassedOver
from pipeline.report.columns import PageRows

EXAMPLE = 300
"""Characters of an error that the summary shows."""


@dataclass(frozen=True)
class Reason:
    """Rows that have no good picture, for one reason.

    Attributes:
        name: why, in plain words.
        status: of most of the rows.
        rows: how many.
        example: the error that most of them have.
    """

    name: str
    status: str
    rows: int
    example: str


@dataclass(frozen=True)
class Figures:
    """The figures of a run.

    Attributes:
        rows: in the results, of all runs into this output.
        counts: by status.
        reasons: the most frequent first.
        began: when the first batch was taken up; None without rows.
        ended: when the last row was finished.
        last_rows: rows that the last run computed; None if it left no summary.
        last_seconds: seconds that the last run took.
        busy: seconds of optimising, over all devices.
        idle: seconds that actors waited for work.
        devices: rows by name of the device.
        hosts: rows by host.
        versions: of packages; several where runs differ.
        encoders: rows by name and digest of the weights.
        pixels: of all pictures.
        warnings: rows by what is doubtful about their pictures.
        passed_over: files and folders of an archive that the last run left out.
    """

    rows: int
    counts: Mapping[str, int]
    reasons: Sequence[Reason]
    began: datetime | None
    ended: datetime | None
    last_rows: int | None
    last_seconds: float | None
    busy: float
    idle: float
    devices: Mapping[str, int]
    hosts: Mapping[str, int]
    versions: Mapping[str, Sequence[str]]
    encoders: Mapping[str, int]
    pixels: int
    warnings: Mapping[str, int]
    passed_over: PassedOver

    @property
    def pictures(self) -> int:
        """The number of rows that have a picture."""
        return self.counts["ok"] + self.counts["diverged"]

    @property
    def per_hour(self) -> float | None:
        """Rows per hour of the last run; None where that is not known, or it had nothing to do."""
        return 3600 * self.last_rows / self.last_seconds if self.last_rows and self.last_seconds else None

    @property
    def device_hours(self) -> float:
        """Hours that devices were held, busy or waiting."""
        return (self.busy + self.idle) / 3600

    def dollars(self, hourly_price: float) -> float:
        """Return the cost of the devices' time, in dollars.

        Args:
            hourly_price: dollars for an hour of one device.
        """
        return self.device_hours * hourly_price


def figures(rows: PageRows, summary: Mapping[str, Any]) -> Figures:
    """Return the figures of a run.

    Args:
        rows: of the page.
        summary: of the last run (`pipeline.outputs.summary`); may be empty.
    """
    counts = _count(rows["status"])
    last = summary.get("counts")
    seconds = summary.get("seconds")
    area = pc.multiply(rows["width"].cast(pa.int64()), rows["height"].cast(pa.int64()))
    return Figures(
        rows=len(rows),
        counts={status: counts.get(status, 0) for status in STATUSES},
        reasons=reasons(rows),
        began=pc.min(rows["started_at"]).as_py(),
        ended=pc.max(rows["finished_at"]).as_py(),
        last_rows=sum(last.values()) if isinstance(last, Mapping) else None,
        last_seconds=float(seconds) if isinstance(seconds, int | float) else None,
        busy=_sum(rows["optimise"]),
        idle=_sum(rows["idle"]),
        devices=_count(rows["device"]),
        hosts=_count(rows["host"]),
        versions=_versions(rows["versions"]),
        encoders=_encoders(rows),
        pixels=int(_sum(area)),
        warnings=_count(rows["warning"]),
        passed_over=PassedOver.of(summary.get("passed_over")),
    )


def _encoders(rows: PageRows) -> dict[str, int]:
    """Return rows by name and digest of the weights."""
    names = pa.table({name: rows[name].cast(pa.string()) for name in ("encoder", "encoder_sha256")})
    counted = names.group_by(names.column_names, use_threads=False).aggregate([([], "count_all")]).to_pylist()
    return {
        f"{each['encoder']}, {str(each['encoder_sha256'])[:12]}": each["count_all"]
        for each in counted
        if each["encoder"] is not None
    }


def reasons(rows: PageRows) -> list[Reason]:
    """Return the reasons why rows are not ok, the most frequent first."""
    bad = pa.table({"reason": rows["reason"], "status": rows["status"].cast(pa.string())})
    statuses = _most_frequent(bad.filter(pc.greater_equal(bad["reason"], 0)), "status")
    numbers = rows["reason"].take(pc.index_in(rows.failed["id"], rows["id"]))
    cut = pc.utf8_slice_codeunits(rows.failed["error"], 0, EXAMPLE)
    errors = _most_frequent(pa.table({"reason": numbers, "error": cut}), "error")
    return [
        Reason(name, *statuses[number], errors[number][0] if number in errors else "")
        for number, name in enumerate(rows.reasons)
    ]


def _most_frequent(table: pa.Table, name: str) -> dict[int, tuple[str, int]]:
    """Return by reason the most frequent text of a column, and how many rows have the reason.

    Args:
        table: with a column `reason`.
        name: of the column of texts.
    """
    counted = table.group_by(["reason", name], use_threads=False).aggregate([([], "count_all")])
    texts: dict[int, tuple[str, int]] = {}
    rows: Counter[int] = Counter()
    for each in counted.sort_by([("count_all", "descending"), (name, "ascending")]).to_pylist():
        rows[each["reason"]] += each["count_all"]
        texts.setdefault(each["reason"], (each[name], 0))
    return {reason: (text, rows[reason]) for reason, (text, _) in texts.items()}


def _sum(column: Any) -> float:
    """Return the sum of a column; 0 for an empty one."""
    return float(pc.sum(column).as_py() or 0)


def _count(column: pa.Array) -> dict[str, int]:
    """Return how often each value of a column of texts occurs, the most frequent first."""
    counted = column.cast(pa.string()).drop_null().value_counts()
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return dict(sorted(pairs, key=lambda pair: -pair[1]))


def _versions(column: pa.Array) -> dict[str, list[str]]:
    """Return every version of each package, from JSON in each row."""
    known: dict[str, set[str]] = {}
    for text in column.cast(pa.string()).unique().to_pylist():
        for name, version in json.loads(text or "{}").items():
            known.setdefault(name, set()).add(version)
    return {name: sorted(versions) for name, versions in sorted(known.items())}
