"""The figures of a run: its rows by status, throughput, devices, and versions."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.outputs import STATUSES, PassedOver

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


COLUMNS = (
    "status",
    "error_class",
    "error",
    "started_at",
    "finished_at",
    "seconds",
    "idle_seconds",
    "device",
    "host",
    "versions",
    "encoder",
    "encoder_sha256",
    "width",
    "height",
    "warning",
)


def figures(table: pa.Table, summary: Mapping[str, Any]) -> Figures:
    """Return the figures of a run.

    Args:
        table: with `COLUMNS`.
        summary: of the last run (`pipeline.outputs.summary`); may be empty.
    """
    counts = Counter(table["status"].to_pylist())
    optimised = pc.struct_field(table["seconds"], "optimise")
    last = summary.get("counts")
    seconds = summary.get("seconds")
    area = pc.multiply(table["width"].cast(pa.int64()), table["height"].cast(pa.int64()))
    return Figures(
        rows=len(table),
        counts={status: counts[status] for status in STATUSES},
        reasons=reasons(table),
        began=pc.min(table["started_at"]).as_py(),
        ended=pc.max(table["finished_at"]).as_py(),
        last_rows=sum(last.values()) if isinstance(last, Mapping) else None,
        last_seconds=float(seconds) if isinstance(seconds, int | float) else None,
        busy=_sum(optimised),
        idle=_sum(table["idle_seconds"]),
        devices=_count(table["device"]),
        hosts=_count(table["host"]),
        versions=_versions(table["versions"]),
        encoders=Counter(
            f"{name}, {str(digest)[:12]}"
            for name, digest in zip(table["encoder"].to_pylist(), table["encoder_sha256"].to_pylist(), strict=True)
            if name is not None
        ),
        pixels=int(_sum(area)),
        warnings=_count(table["warning"]),
        passed_over=PassedOver.of(summary.get("passed_over")),
    )


def reasons(table: pa.Table) -> list[Reason]:
    """Return the reasons why rows are not ok, the most frequent first.

    Args:
        table: with the columns status, error_class and error.
    """
    errors: dict[str, list[tuple[str, str]]] = {}
    for status, name, error in zip(*(table[c].to_pylist() for c in ("status", "error_class", "error")), strict=True):
        if status != "ok":
            errors.setdefault(reason(status, name, error), []).append((status, error or ""))
    listed = []
    for name, rows in errors.items():
        [(status, _)] = Counter(status for status, _ in rows).most_common(1)
        [(example, _)] = Counter(error[:EXAMPLE] for _, error in rows).most_common(1)
        listed.append(Reason(name, status, len(rows), example))
    return sorted(listed, key=lambda r: (-r.rows, r.name))


_PARTICULAR = re.compile(
    r"""[a-z][a-z0-9+.-]*://\S+?(?=[:,;]?(?:\s|$))"""  # a URI
    r"""|'[^']{1,200}'|"[^"]{1,200}\""""  # what is quoted
    r"""|\S*[/\\]\S+?(?=[:,;]?(?:\s|$))"""  # a path
    r"""|\b[\w.-]+\.(?:jpe?g|png|webp|tiff?|gif|avif|heic|bmp)\b"""  # the name of a picture
    r"""|\b[0-9a-f]{8,}\b|\d[\d,.]*""",  # an id, a number
    re.IGNORECASE,
)
"""Parts of an error that tell of one row alone."""

_REASON = 100
"""Characters of a reason's name."""


def reason(status: str, error_class: str | None, error: str | None) -> str:
    """Return why a row is not ok, in words that rows with the same trouble share.

    They are those of the error, up to the end of its first sentence, with `…` for what tells of the row alone; or else
    the class of the error, or the status.
    """
    first = re.split(r"(?<=[^.…])\. |[\n;\u2028]", (error or "").strip(), maxsplit=1)[0]
    words = re.sub(r"\s+", " ", _PARTICULAR.sub("…", first)).strip(" .:")
    words = re.sub(r"^…:? ", "", words)
    if not re.search("[^\\W\\d_]{3}", words):
        return "the loss stopped being finite" if status == "diverged" else error_class or status
    return words if len(words) <= _REASON else f"{words[:_REASON].rstrip()} …"


def _sum(column: Any) -> float:
    """Return the sum of a column; 0 for an empty one."""
    return float(pc.sum(column).as_py() or 0)


def _count(column: pa.ChunkedArray) -> dict[str, int]:
    """Return how often each value of a column occurs, the most frequent first."""
    return dict(Counter(value for value in column.to_pylist() if value is not None).most_common())


def _versions(column: pa.ChunkedArray) -> dict[str, list[str]]:
    """Return every version of each package, from JSON in each row."""
    known: dict[str, set[str]] = {}
    for text in column.unique().to_pylist():
        for name, version in json.loads(text or "{}").items():
            known.setdefault(name, set()).add(version)
    return {name: sorted(versions) for name, versions in sorted(known.items())}
