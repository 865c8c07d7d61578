"""When an actor leaves off in the middle of a batch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interruptions:
    """When an actor leaves off in the middle of a batch.

    Attributes:
        row_timeout: seconds that a row may be optimised; None: as long as it takes. Rows of a batch share a device, so
            together they have the sum of theirs. What was spent before an interruption counts.
        worth_saving: seconds of work from which on an actor that gets SIGTERM saves it before it goes.
        save_every: seconds of work after which it is saved anyway, since not every death is announced.
    """

    row_timeout: float | None = None
    worth_saving: float = 10.0
    save_every: float = 60.0

    def __post_init__(self) -> None:
        for name in ("row_timeout", "worth_saving", "save_every"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"{name} = {value}: expected seconds, 0 or more")
