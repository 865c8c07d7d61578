"""What a run may use, and when its work is left off. Light: job files and command lines need no torch for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pipeline.options.interruptions import Interruptions

Device = Literal["auto", "gpu", "cpu"]


@dataclass(frozen=True)
class Resources:
    """What a run may use.

    Attributes:
        num_actors: encoders at work; None: one per GPU, or one per CPU where there is no GPU.
        batch_size: pairs that an actor optimises together, at most; None: as the plan finds best.
        address: of a Ray cluster; None: the one this process is connected to or was submitted to, else one of its own
            on this machine.
        interruptions: deadlines, and when work is saved midway.
        min_actors: a pool that grows and shrinks with its work has at least so many; by default 1.
        max_actors: and at most so many, on nodes that join later too; by default as many as there are devices now.
        actors_per_gpu: that share one; None: 1, or as many as `num_actors` ask for.
        device: what actors compute on. auto: GPUs alone where there are any, since a CPU actor would hold its batch
            for a hundred times as long; CPU nodes then fetch, decode and write.

    Raises:
        ValueError: for numbers of actors that contradict each other.
    """

    num_actors: int | None = None
    batch_size: int | None = None
    address: str | None = None
    interruptions: Interruptions = field(default_factory=Interruptions)
    min_actors: int | None = None
    max_actors: int | None = None
    actors_per_gpu: int | None = None
    device: Device = "auto"

    def __post_init__(self) -> None:
        for name in ("num_actors", "min_actors", "max_actors", "actors_per_gpu", "batch_size"):
            if (value := getattr(self, name)) is not None and not (isinstance(value, int) and value >= 1):
                raise ValueError(f"{name} = {value!r}: expected a whole number of at least 1")
        if self.num_actors and self.grows:
            raise ValueError("expected num_actors, a fixed number, or min_actors and max_actors, not both")
        if self.min_actors and self.max_actors and self.min_actors > self.max_actors:
            raise ValueError(f"expected min_actors, {self.min_actors}, to be at most max_actors, {self.max_actors}")
        if self.device not in get_args(Device):
            raise ValueError(f"device = {self.device!r}: expected one of {', '.join(get_args(Device))}")

    @property
    def grows(self) -> bool:
        """Whether the number of actors follows the work."""
        return bool(self.min_actors or self.max_actors)


def outranked(said: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `Resources` with those that are given (not None) in the place of what was said before.

    A fixed number of actors takes the place of a pool that grows, and the other way round.
    """
    given = {name: value for name, value in given.items() if value is not None}
    grows = {"min_actors", "max_actors"}
    replaced = grows if "num_actors" in given else {"num_actors"} if grows & given.keys() else set()
    return {**said, **dict.fromkeys(replaced), **given}
