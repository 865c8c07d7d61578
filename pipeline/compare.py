"""Night over night: two runs side by side, row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
    """

    key: Mapping[str, Any]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    loss_ratio: float | None
    seconds_ratio: float | None
    psnr: float | None
    ssim: float | None
    worse: Sequence[str]


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
