"""What a run may use. Job files and command lines need neither torch nor Ray for it."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from pipeline.options.interruptions import Interruptions
from pipeline.options.model import Options, option

Device = Literal["auto", "gpu", "cpu"]


class Resources(Options):
    """What a run may use: its actors, their device and batches, and the cluster that they run on.

    Raises:
        OptionError: for numbers of actors that contradict each other.
    """

    num_actors: int | None = option(
        None, "Encoders at work; by default one per GPU, or one per CPU where there is no GPU.", ge=1
    )
    batch_size: int | None = option(
        None, "Pairs that an actor optimises together, at most; by default what suits memory and device.", ge=1
    )
    address: str | None = option(
        None,
        "Address of a Ray cluster; by default the one this process was submitted to, else one of its own on this "
        "machine.",
    )
    interruptions: Interruptions = Interruptions()
    min_actors: int | None = option(
        None, "Instead of a fixed number: a pool that grows and shrinks with its work, of at least so many.", ge=1
    )
    max_actors: int | None = option(
        None, "At most so many, on nodes that join later too; by default one per device that there is now.", ge=1
    )
    actors_per_gpu: int | None = option(None, "Encoders that share a GPU; by default one.", ge=1)
    # A CPU actor would hold its batch for a hundred times as long as a GPU actor.
    device: Device = option(
        "auto",
        "What encoders compute on. auto: GPUs alone if there are any, or the cluster adds some on request; CPU nodes "
        "then read and write.",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        check_actors(self.num_actors, self.min_actors, self.max_actors)
        return self

    @property
    def grows(self) -> bool:
        """Whether the number of actors follows the work."""
        return bool(self.min_actors or self.max_actors)


def check_actors(num_actors: int | None, min_actors: int | None, max_actors: int | None) -> None:
    """Check that numbers of actors agree with each other.

    Raises:
        ValueError: for a fixed number together with a pool that grows, or a minimum above the maximum.
    """
    if num_actors and (min_actors or max_actors):
        raise ValueError("expected num_actors, a fixed number, or min_actors and max_actors, not both")
    if min_actors and max_actors and min_actors > max_actors:
        raise ValueError(f"expected min_actors, {min_actors}, to be at most max_actors, {max_actors}")


def overridden(before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of `Resources` in which those that are given (not None) replace those from before.

    A fixed number of actors takes the place of a pool that grows, and the other way round.
    """
    given = {name: value for name, value in given.items() if value is not None}
    grows = {"min_actors", "max_actors"}
    replaced = grows if "num_actors" in given else {"num_actors"} if grows & given.keys() else set()
    return {**before, **dict.fromkeys(replaced), **given}
