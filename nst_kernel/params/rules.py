"""Rules that turn a value as it stands in CSV, JSON or Python into the value of a parameter."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from nst_kernel.layers import LAYERS

INITS = ("content", "noise", "style")


@dataclass(frozen=True)
class Problem:
    """One value that cannot be used: where it stands, what it was and what was expected."""

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


class _Unusable(Exception):
    """A value that a rule refuses."""


@dataclass(frozen=True)
class _Rule:
    """Turns a value as it stands in CSV, JSON or Python into the value of a parameter, or refuses it."""

    expected: str
    parse: Callable[[Any], Any]

    def __call__(self, name: str, value: object) -> object | Problem:
        try:
            return cast(object, self.parse(value))
        except (_Unusable, KeyError, ValueError, TypeError, OverflowError):
            return Problem(name, value, self.expected)


def _number(value: object) -> float:
    if isinstance(value, bool):
        raise _Unusable
    number = float(cast(float, value))
    if not math.isfinite(number):
        raise _Unusable
    return number


def _integer(low: int, high: int) -> _Rule:
    def parse(value: object) -> int:
        if isinstance(value, str) and value.strip().isdecimal():
            value = int(value)  # a float would lose digits of a seed beyond 2**53
        number = value if isinstance(value, int) and not isinstance(value, bool) else _number(value)
        if number != int(number) or not low <= number <= high:
            raise _Unusable
        return int(number)

    return _Rule(f"a whole number from {low} to {high}", parse)


def _real(low: float, *, above: bool = False) -> _Rule:
    def parse(value: object) -> float:
        number = _number(value)
        if number < low or (above and number == low):
            raise _Unusable
        return number

    return _Rule(f"a finite number {'above' if above else 'of at least'} {low:g}", parse)


def _fraction(value: object) -> float:
    number = _number(value)
    if not 0 <= number <= 0.5:
        raise _Unusable
    return number


_share = _Rule("a number from 0 to 0.5", _fraction)


def _one_of(*choices: str) -> _Rule:
    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise _Unusable
        return value

    return _Rule(" or ".join(choices), parse)


def _optional(rule: _Rule) -> _Rule:
    return _Rule(f"{rule.expected}, or nothing", lambda value: None if value in (None, "") else rule.parse(value))


def _many(rule: _Rule, expected: str, *, unique: bool = False, ascending: bool = False, least: int = 0) -> _Rule:
    def parse(value: object) -> tuple[Any, ...]:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        elif isinstance(value, int | float):
            value = [value]
        parsed = tuple(rule.parse(part) for part in cast(list[object], value))
        if (unique and len(set(parsed)) != len(parsed)) or (ascending and list(parsed) != sorted(set(parsed))):
            raise _Unusable
        if len(parsed) < least:
            raise _Unusable
        return parsed

    return _Rule(expected, parse)


def _start(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if text not in INITS and "/" not in text and "." not in text:  # a misspelt word is no file
        raise _Unusable
    return text


_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


_truth = _Rule("true or false", lambda value: _TRUTH[str(value).strip().lower()])


_init = _Rule("content, noise, style, or the path or URI of an image file", _start)


_SEED = _integer(0, 2**63 - 1)


_layers = _many(_one_of(*LAYERS), "VGG-19 layers such as conv4_2, each at most once, comma-separated", unique=True)


_weights = _many(_real(0), "finite numbers of at least 0, one per layer, comma-separated")
