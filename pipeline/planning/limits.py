"""What batches must stay within."""

from dataclasses import dataclass

ASSUMED_MEMORY = 6e9
"""Bytes that a batch stays within where the memory of an actor is not known."""


ROWS_AT_MOST = 32
"""Rows of a batch on a CPU where nobody says: few enough to be done soon."""


@dataclass(frozen=True)
class Limits:
    """What batches must stay within.

    Attributes:
        rows: of a batch at most.
        pixels: of a batch at most, unless it is one row; None: as many as memory holds.
        memory: bytes that an actor has; None if it is not known. A picture that needs more fails at planning.
        precision: what `auto` means on the actors' devices; fp32, which needs most, where it is not known.
        workers: actors that share the batches; work is cut so that none of them need stay idle.
        work: multiply-adds of a batch at most, unless it is one row; None: any number.
        larger: of the actors with most memory, where devices are unlike each other: for rows that others cannot hold.
    """

    rows: int = ROWS_AT_MOST
    pixels: int | None = None
    memory: float | None = None
    precision: str = "fp32"
    workers: int = 1
    work: float | None = None
    larger: "Limits | None" = None
