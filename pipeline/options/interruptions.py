"""When an actor stops in the middle of a batch, and when it saves its work."""

from pipeline.options.model import Options, option


class Interruptions(Options):
    """When an actor stops in the middle of a batch, and when it saves its work.

    Rows of a batch share a device, so that together they have the sum of their timeouts. Seconds that were spent before
    an interruption count.
    """

    row_timeout: float | None = option(
        None, "Seconds that a row may be optimised, or it fails; by default any number.", unit="seconds", ge=0
    )
    worth_saving: float = option(
        10.0,
        "Seconds of work from which on an actor that gets SIGTERM saves its state before it ends.",
        unit="seconds",
        ge=0,
        library=True,
    )
    save_every: float = option(
        60.0,
        "Seconds of work after which the state is saved in any case, since not every crash is announced.",
        unit="seconds",
        ge=0,
        library=True,
    )
