"""What earlier runs into an output have left behind for the plan of the next one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.options import MAX_ATTEMPTS
from pipeline.planning.crashes import Crashes, RowKey


@dataclass(frozen=True)
class History:
    """What earlier runs into an output have left, as far as it decides what the next run computes.

    Attributes:
        finished: fingerprint by id of rows that are done.
        owners: id by output name of pictures that exist; a row does not overwrite another id's picture.
        quarantined: fingerprint by id of rows that are not to be tried.
        crashes: how often the processes of rows died in earlier runs. Such a row becomes a batch of its own, unless
            its only crash was one of its whole run.
        framed: by id of rows that have pictures on the way, the format of the animation of them; empty: there is none.
        max_attempts: crashes until a row is quarantined.
    """

    finished: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    quarantined: Mapping[str, str] = field(default_factory=dict)
    crashes: Mapping[RowKey, Crashes] = field(default_factory=dict)
    framed: Mapping[str, str] = field(default_factory=dict)
    max_attempts: int = MAX_ATTEMPTS
