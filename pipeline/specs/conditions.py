"""Conditions that leave combinations out of a grid: values, lists of values or ranges, which must hold together."""

import fnmatch
import math
from collections.abc import Callable, Mapping
from typing import Any

from nst_kernel.params import PARAMETERS, Problem, known_name
from pipeline.manifest import PICTURE_COLUMNS
from pipeline.specs.fields import Complaint, parameter_name

NAMES = PICTURE_COLUMNS
RANGE = ("min", "max")

Condition = Callable[[Mapping[str, str | None], Mapping[str, Any]], bool]
"""Whether a combination is left out, by the names of its pictures and the values of its parameters."""


def parse(condition: Mapping[str, object]) -> tuple[Condition, list[Complaint]]:
    """Read a condition of a grid, along with the problems of its entries."""
    tests: list[Condition] = []
    complaints: list[Complaint] = []
    for name, wanted in condition.items():
        if name in NAMES:
            tests.append(_named(name, wanted if isinstance(wanted, list | tuple) else [wanted]))
        elif parameter_name(name) in PARAMETERS:
            test, wrong = (
                _in_range(parameter_name(name), wanted)
                if isinstance(wanted, Mapping)
                else _equal(parameter_name(name), wanted)
            )
            tests.append(test)
            complaints += [((name, *loc), value, expected) for loc, value, expected in wrong]
        else:
            complaints.append(((name,), wanted, known_name(name, [*NAMES, *PARAMETERS])))
    if not condition:
        complaints.append(((), {}, "at least one parameter, content or style: nothing would be left"))
    return (lambda names, params: all(test(names, params) for test in tests)), complaints


def _named(name: str, patterns: list[object] | tuple[object, ...]) -> Condition:
    """Return the condition that the name of a picture fits one of some patterns."""
    return lambda names, _: any(fnmatch.fnmatchcase(names[name] or "", str(pattern)) for pattern in patterns)


def _equal(name: str, wanted: object) -> tuple[Condition, list[Complaint]]:
    """Return the condition that a parameter has one of some values; a list of layers is compared as a whole."""
    listed = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    parsed = [PARAMETERS[name].parse(value) for value in listed]
    complaints: list[Complaint] = [
        ((place,) if isinstance(wanted, list | tuple) else (), value, problem.expected)
        for place, (value, problem) in enumerate(zip(listed, parsed, strict=True))
        if isinstance(problem, Problem)
    ]
    return (lambda _, params: name in params and params[name] in parsed), complaints


def _in_range(name: str, wanted: Mapping[Any, object]) -> tuple[Condition, list[Complaint]]:
    """Return the condition that a parameter is between `min` and `max`, both included; one may be left out."""
    complaints: list[Complaint] = [
        ((end,), wanted[end], known_name(str(end), RANGE)) for end in wanted if end not in RANGE
    ]
    ends = {"min": -math.inf, "max": math.inf}
    for end in RANGE:
        try:
            ends[end] = float(str(wanted.get(end, ends[end])))
        except ValueError:
            complaints.append(((end,), wanted[end], "a number"))
    if not complaints and (not wanted or not ends["min"] <= ends["max"]):
        complaints.append(((), dict(wanted), "min and max, or one of them, the smaller first"))

    def test(_: Mapping[str, str | None], params: Mapping[str, Any]) -> bool:
        value = params.get(name)
        numbers = value if isinstance(value, tuple) else (value,)
        return bool(numbers) and all(
            isinstance(number, int | float) and ends["min"] <= number <= ends["max"] for number in numbers
        )

    return test, complaints
