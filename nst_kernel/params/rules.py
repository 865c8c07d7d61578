"""Types of parameters: how a value as CSV, JSON or Python has it becomes the value of a parameter, or is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, Strict
from pydantic_core import CoreSchema, core_schema

INITS = ("content", "noise", "style", "grey")
"""Values of `init` that name no picture file."""


@dataclass(frozen=True)
class Problem:
    """A value that cannot be used: the name of its parameter, the value, and what was expected."""

    name: str
    value: object
    expected: str

    def __str__(self) -> str:
        return f"{self.name} = {self.value!r}: expected {self.expected}"


class ParamError(ValueError):
    """Raised with every problem of a set of parameters at once, in `.problems`."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems)))


@dataclass(frozen=True)
class OneOf:
    """A type annotation for a string that must be one of `choices`, where a `Literal` cannot list them."""

    choices: Sequence[str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(list(self.choices))


def _number(value: Any) -> float:
    """Convert a number, or the text of one, to a float; raise ValueError for true and false."""
    if isinstance(value, bool):
        raise ValueError("a truth value")
    try:
        return float(value)
    except (TypeError, OverflowError) as error:  # which pydantic would not take for a refusal
        raise ValueError(str(error)) from None


def _whole(value: Any) -> int:
    """Return a whole number from a number or its text, such as 1000, 1e3 or " 256.0 "."""
    if type(value) is int:
        return value
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)  # a float would lose digits of a seed beyond 2**53
    exact = isinstance(value, int) and not isinstance(value, bool)
    try:
        number = value if exact else _number(value)
        if number != int(number):
            raise ValueError("not whole")
        return int(number)
    except OverflowError as error:  # infinity
        raise ValueError(str(error)) from None


_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _truth(value: Any) -> bool:
    """Convert a bool, or a word or digit that stands for one, to a bool."""
    word = str(value).strip().lower()
    if word not in _TRUTHS:
        raise ValueError("neither true nor false")
    return _TRUTHS[word]


def _listed(value: Any) -> tuple[Any, ...]:
    """Return the members of a list, of a text with commas between them, or a single number as its only member."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, int | float):
        return (value,)
    try:
        return tuple(value)
    except TypeError as error:
        raise ValueError(str(error)) from None


def _each_once(members: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a tuple whose members are distinct."""
    if len(set(members)) != len(members):
        raise ValueError("a member twice")
    return members


def _ascending(members: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a tuple each of whose members is above the one before it."""
    if list(members) != sorted(set(members)):
        raise ValueError("not ascending")
    return members


def _start(value: str) -> str:
    """Return where pixels start: one of `INITS`, or a text that may be the path or URI of a picture."""
    text = value.strip()
    if text not in INITS and "/" not in text and "." not in text:  # a misspelt word is no file
        raise ValueError("neither a known word nor a path")
    return text


def _one_text(value: Any) -> Any:
    """Return a list of texts as one with `|` between them; anything else as it is."""
    if not isinstance(value, list | tuple):
        return value
    if not all(isinstance(member, str) and "|" not in member for member in value):
        raise ValueError("no list of texts without |")
    return "|".join(value)


def _nothing_if_empty(value: Any) -> Any:
    """Return None for an empty text, as an empty cell of a table has it."""
    return None if isinstance(value, str) and not value else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number. Bounds come from the parameter's declaration."""

Number = Annotated[float, BeforeValidator(_number)]
"""A finite number. Bounds come from the parameter's declaration."""

Truth = Annotated[bool, BeforeValidator(_truth)]
"""True or false."""

Start = Annotated[str, Strict(), AfterValidator(_start)]
"""Where pixels start."""

Files = Annotated[str, BeforeValidator(_one_text), Strict(), AfterValidator(str.strip)]
"""Paths or URIs of files, with `|` between them; or a list of such; or an empty text."""

Listed = BeforeValidator(_listed)
"""An annotation of a tuple that may be written as text with commas."""

EachOnce = AfterValidator(_each_once)
"""An annotation of a tuple whose members are distinct."""

Ascending = AfterValidator(_ascending)
"""An annotation of a tuple whose members ascend."""

OrNothing = BeforeValidator(_nothing_if_empty)
"""An annotation of a value that may be None, which an empty text means too."""
