"""How patient storage is: limits and delays of requests, each also a variable of the environment."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from pipeline.storage.errors import StorageError

PREFIX = "NST_STORAGE_"
"""What the names of the environment variables begin with."""


def _limit(default: Any, doc: str, *, least: float | None = None) -> Any:
    """Return a dataclass field with its default, its lower bound and what it means, from which the README is made."""
    return dataclasses.field(default=default, metadata={"doc": doc, "least": least})


class Variable(NamedTuple):
    """An environment variable of the policy: its name, its default as text, and what it means."""

    name: str
    default: str
    doc: str


@dataclass(frozen=True)
class Policy:
    """How often and for how long storage repeats a request. The defaults outlast a store that is down for a minute.

    A policy must reach every process of a cluster, and the environment is what reaches them all: each field is also a
    variable, such as NST_STORAGE_ATTEMPTS=3. What a field means is declared with it.
    """

    attempts: int = _limit(
        12,
        "requests for one operation at most, the first included; with 30 % of requests failing, 12 lose one operation "
        "in two million",
        least=1,
    )
    first_delay: float = _limit(
        0.25, "seconds before the second attempt; each delay is up to a quarter shorter or longer", least=0
    )
    factor: float = _limit(2.0, "by which each delay is longer than the one before", least=1)
    longest_delay: float = _limit(20.0, "seconds that a delay takes at most", least=0)
    deadline: float = _limit(150.0, "seconds after the first attempt from which on no other begins", least=0)
    timeout: float = _limit(
        20.0, "seconds that a connection may take, and that a store may be silent within a request", least=0.001
    )
    request_timeout: float = _limit(
        300.0,
        "seconds that one request may take in all, since a store that sends a byte now and then is never silent",
        least=0.001,
    )
    concurrency: int = _limit(
        32, "requests at once to one endpoint (a scheme and its host or bucket), from one process", least=1
    )
    verify: bool = _limit(
        True,
        "1: the MD5 of an object is compared with its ETag where that is one; 0 only for a store whose ETags look like "
        "MD5 sums and are none",
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, least = getattr(self, field.name), field.metadata["least"]
            if least is not None and value < least:
                raise ValueError(f"{field.name}: {value}, expected {least} or more")

    @classmethod
    def from_environment(cls) -> "Policy":
        """Return the defaults, replaced by what the NST_STORAGE_… variables of this process set.

        Raises:
            StorageError: for a variable whose value cannot be used; the message names it and what was expected.
        """
        return _from_texts(tuple(os.environ.get(variable) for variable in _NAMES))


_NAMES = tuple(PREFIX + field.name.upper() for field in dataclasses.fields(Policy))
"""Names of the variables, in the order of the fields."""


@functools.lru_cache(maxsize=8)
def _from_texts(texts: tuple[str | None, ...]) -> Policy:
    """Return the policy that the values of all variables make; each request asks for that of the environment."""
    given: dict[str, Any] = {}
    for field, variable, text in zip(dataclasses.fields(Policy), _NAMES, texts, strict=True):
        if text is None:
            continue
        kind = cast(Callable[[str], Any], field.type)
        try:
            given[field.name] = {"0": False, "1": True}[text] if kind is bool else kind(text)
            Policy(**given)
        except (KeyError, ValueError) as error:
            raise StorageError(f"{variable}={text}: {'expected 0 or 1' if kind is bool else error}") from None
    return Policy(**given)


def variables() -> Iterator[Variable]:
    """Yield every environment variable of the policy, in the order of their declaration."""
    for field, name in zip(dataclasses.fields(Policy), _NAMES, strict=True):
        default = f"{int(field.default)}" if isinstance(field.default, bool) else f"{field.default:g}"
        yield Variable(name, default, field.metadata["doc"])
