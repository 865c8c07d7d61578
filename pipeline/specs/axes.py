"""Values of a grid's parameters: listed, spaced between two ends, or drawn by chance."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from nst_kernel.params import PARAMETERS, Problem, known_name
from pipeline.specs.fields import Complaint, parameter_name

MAX_VALUES = 100_000
"""Values that one parameter of a grid may have, at most."""


@dataclass(frozen=True)
class Axis:
    """A parameter with the values that it takes, each as the parameter has it, no two equal."""

    parameter: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Draw:
    """A parameter whose values are drawn.

    Attributes:
        parameter: its name.
        low: end of a range.
        high: other end.
        log: whether the logarithm is uniform, rather than the value.
        choices: to draw from, instead of a range.
    """

    parameter: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    def at(self, share: float) -> object:
        """Return the value below which a share of all draws lie, from 0 up to 1."""
        if self.choices:
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        span = self.high - self.low
        number = self.low * (self.high / self.low) ** share if self.log else self.low + share * span
        value: object = PARAMETERS[self.parameter].parse(_written(self.parameter, number))
        return value


def shares(parameter: str, count: int, *, method: str, seed: int) -> NDArray[np.float64]:
    """Draw places (count,) in the distribution of a parameter, each from 0 up to 1.

    Each parameter has a stream of its own, so that another one changes nothing for it. `random` draws are independent,
    and more of them go on where fewer end. `latin-hypercube` has one in each of `count` equal shares.
    """
    generator = np.random.default_rng([seed, crc32(parameter.encode())])
    if method == "random":
        return generator.random(count)
    from scipy.stats import qmc  # 2 s of CPU, which other specs need not spend

    sampled: NDArray[np.float64] = qmc.LatinHypercube(d=1, rng=generator).random(count)[:, 0]
    return sampled


def parse(parameters: Mapping[str, object]) -> tuple[list[Axis | Draw], list[Complaint]]:
    """Read the values of a grid's parameters, in the order of PARAMETERS, along with the problems of those entries."""
    axes: dict[str, Axis | Draw] = {}
    complaints: list[Complaint] = []
    for name, value in parameters.items():
        if parameter_name(name) not in PARAMETERS:
            complaints.append(((name,), value, known_name(name, PARAMETERS)))
        elif parameter_name(name) in axes:
            complaints.append(((name,), value, f"{parameter_name(name)} once: it is given by another name too"))
        else:
            parsed, wrong = _one(parameter_name(name), value)
            complaints += [((name, *loc), part, expected) for loc, part, expected in wrong]
            axes[parameter_name(name)] = parsed
    return [axes[name] for name in PARAMETERS if name in axes], complaints


_SPACED, _RANGES = ("linspace", "logspace"), ("uniform", "loguniform")
KINDS = (*_SPACED, *_RANGES, "choice")


def _one(name: str, value: object) -> tuple[Axis | Draw, list[Complaint]]:
    """Parse the entry of one parameter: a value, a list, a spacing or a distribution."""
    if not isinstance(value, Mapping):
        listed = list(value) if isinstance(value, list | tuple) else [value]
        return _listed(
            name, listed, places=[(place,) if isinstance(value, list | tuple) else () for place in range(len(listed))]
        )
    nothing = Axis(name, ())
    if len(value) != 1 or next(iter(value)) not in KINDS:
        unknown = [(kind,) for kind in value if kind not in KINDS]
        expected = known_name(str(unknown[0][0]), KINDS) if unknown else f"one of {', '.join(KINDS)}"
        return nothing, [(unknown[0] if unknown else (), dict(value), expected)]
    ((kind, given),) = value.items()
    numbers = given if isinstance(given, list | tuple) else [given]
    if kind == "choice":
        axis, wrong = _listed(name, numbers, places=[(kind, place) for place in range(len(numbers))])
        return (Draw(name, choices=axis.values) if isinstance(axis, Axis) else axis), wrong
    form = "[from, to, how many]" if kind in _SPACED else "[from, to]"
    try:
        ends = [float(str(number)) for number in numbers]
    except ValueError:
        ends = []
    if len(ends) != (3 if kind in _SPACED else 2) or not all(map(math.isfinite, ends)):
        return nothing, [((kind,), given, f"{form}, such as {_EXAMPLES[kind]}")]
    low, high = ends[:2]
    if "log" in kind and min(low, high) <= 0:
        return nothing, [((kind,), given, "both ends above 0, since logarithms are evenly spaced")]
    if kind in _RANGES:
        wrong = [
            ((kind, place), end, problem.expected) for place, end in enumerate(ends) for problem in _refused(name, end)
        ]
        if not wrong and low >= high:
            wrong = [((kind,), given, "the smaller end first")]
        return Draw(name, low, high, log=kind == "loguniform"), wrong
    count = ends[2]
    if count != int(count) or not 1 <= count <= MAX_VALUES:
        return nothing, [((kind, 2), count, f"a whole number of values, from 1 to {MAX_VALUES}")]
    space = np.linspace if kind == "linspace" else np.geomspace
    values = list(dict.fromkeys(_written(name, float(number)) for number in space(low, high, int(count))))
    return _listed(name, values, places=[(kind,)] * len(values))


_EXAMPLES = {
    "linspace": "linspace: [0.5, 2, 4]",
    "logspace": "logspace: [0.01, 1, 5]",
    "uniform": "uniform: [0, 1]",
    "loguniform": "loguniform: [0.01, 1]",
}


def _listed(
    name: str, values: Sequence[object], *, places: Sequence[tuple[str | int, ...]]
) -> tuple[Axis, list[Complaint]]:
    """Parse listed values by the rule of their parameter, along with the problems of each."""
    complaints: list[Complaint] = []
    parsed: dict[Any, None] = {}
    for place, value in zip(places, values, strict=True):
        result = PARAMETERS[name].parse(value)
        if isinstance(result, Problem):
            complaints.append((place, value, result.expected))
        elif result in parsed:
            complaints.append((place, value, "each value once"))
        parsed[None if isinstance(result, Problem) else result] = None
    if not values:
        complaints.append(((), [], "at least one value"))
    return Axis(name, tuple(parsed)), complaints


def _refused(name: str, value: object) -> Iterator[Problem]:
    """Yield the problem of a number that a parameter does not take."""
    result = PARAMETERS[name].parse(_written(name, float(str(value))))
    if isinstance(result, Problem):
        yield result


def _written(name: str, value: float) -> int | float:
    """Return a number as a person would write it: whole for parameters of whole numbers, else to twelve digits."""
    return round(value) if PARAMETERS[name].whole else float(f"{value:.12g}")
