"""What two samples must agree in to share a batch."""

import functools
import operator
from collections.abc import Mapping

from nst_kernel.params.declaration import GIVEN, Parameter, condition_of


class Graph:
    """The values of those parameters that change the computation which the samples of a batch share."""

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        """Take the declarations of all parameters, by name."""
        shared = tuple(name for name, each in parameters.items() if not each.per_sample)
        # (place among the shared, name of another parameter, comparison, value) of those that are shared conditionally.
        self.conditions = tuple(
            (place, *condition_of(str(parameters[name].graph)))
            for place, name in enumerate(shared)
            if parameters[name].graph not in (True, GIVEN)
        )
        self.given = tuple(place for place, name in enumerate(shared) if parameters[name].graph == GIVEN)
        self._shared = operator.attrgetter(*shared)
        self._deciding = operator.attrgetter(*(name for _, name, _, _ in self.conditions))
        # Kept for the next of a million rows, most of which differ in their seeds alone.
        self._of = functools.lru_cache(4096)(self._values)

    def __call__(self, params: object) -> tuple[object, ...]:
        """Return the shared values of `StyleParams`, in the order of their declaration.

        One is empty or zero where the condition in its declaration does not hold, and a truth value where all that
        counts is whether it is given.
        """
        return self._of(self._shared(params), self._deciding(params))

    def _values(self, shared: tuple[object, ...], deciding: tuple[object, ...]) -> tuple[object, ...]:
        """Return the shared values, given those of the parameters that the conditions are about, in their order."""
        values = list(shared)
        for (place, _, compare, value), actual in zip(self.conditions, deciding, strict=True):
            if not compare(actual, value):
                values[place] = type(values[place])()
        for place in self.given:
            values[place] = bool(values[place])
        return tuple(values)
