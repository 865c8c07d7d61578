"""The declaration of a parameter, and what is derived from it: its rule, its JSON Schema, what it decides."""

import dataclasses
import operator
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field, TypeAdapter, ValidationError

from nst_kernel.params.nearest import with_nearest
from nst_kernel.params.rules import OneOf, Problem

_BOUNDS = ("ge", "le", "allow_inf_nan", "min_length")
GIVEN = "given"
"""What `graph` says where all that counts is whether a parameter is given."""

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {"==": operator.eq, ">": operator.gt}


def parameter(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    graph: bool | str = False,
    loss: bool = False,
    later: bool = False,
    **rule: Any,
) -> Any:
    """Declare a parameter of `StyleParams`, as the default of a field whose annotation is its type.

    Args:
        default: its value where neither the request nor the preset gives one.
        doc: what it means, as a phrase that needs no other around it.
        unit: of its value, such as "pixels"; empty for none.
        graph: whether samples of one batch must agree in it, since it changes the computation that they share: always,
            never, or where a condition on another parameter holds, such as "optimizer == lbfgs"; or "given", if they
            must agree in whether they have it at all.
        loss: whether it is part of what a loss means, so that losses of different values are not comparable.
        later: whether it came after the first ids were derived from parameters: at its default it is left out of them,
            so that the ids of earlier requests stay as they are.
        rule: bounds as pydantic's `Field` has them (`ge`, `le`, `min_length`, `allow_inf_nan`); `words` that a text
            may be besides others; `expected`: what a value must be, in words, where type and bounds do not say it;
            `accompanies`: whether it is about files that accompany the picture alone, so that ids and fingerprints
            leave it out.
    """
    about = {"description": doc, "unit": unit, "graph": graph, "loss": loss, "later": later}
    return dataclasses.field(default=default, metadata={**about, **rule})


def condition_of(text: str) -> tuple[str, Callable[[Any, Any], bool], float | str]:
    """Return a condition such as "optimizer == lbfgs" as (name of a parameter, comparison, value to compare with)."""
    name, comparison, value = text.split()
    return name, _COMPARISONS[comparison], float(value) if value.isdecimal() else value


@dataclass(frozen=True)
class Parameter:
    """The declaration of a parameter: type, default, documentation, unit and rules.

    Attributes:
        name: of the parameter.
        type: of its value, as annotated.
        default: its value where neither the request nor the preset gives one.
        doc: what it means.
        unit: of its value; empty for none.
        graph: whether samples of one batch must agree in it: True, False, the condition under which they must, or
            "given".
        loss: whether losses are comparable only between equal values of it.
        later: whether it is left out of derived ids at its default.
        rule: bounds of its value, and how they are put in words.
    """

    name: str
    type: Any
    default: Any
    doc: str
    unit: str
    graph: bool | str
    loss: bool
    later: bool
    rule: Mapping[str, Any]

    @classmethod
    def of(cls, field: "dataclasses.Field[Any]", type: Any) -> "Parameter":
        """Return the parameter that a field declares.

        Args:
            field: made by `parameter`.
            type: its annotation, resolved.
        """
        about = dict(field.metadata)
        names = ("description", "unit", "graph", "loss", "later")
        doc, unit, graph, loss, later = (about.pop(name) for name in names)
        return cls(field.name, type, field.default, doc, unit, graph, loss, later, about)

    @property
    def described(self) -> str:
        """What it means, with its unit."""
        return f"{self.doc} [{self.unit}]" if self.unit else self.doc

    @property
    def decides(self) -> bool:
        """Whether the picture depends on it."""
        return not self.rule.get("accompanies", False)

    @property
    def per_sample(self) -> bool:
        """Whether the samples of a batch may differ in it, whatever their other parameters are."""
        return self.graph is False

    @property
    def whole(self) -> bool:
        """Whether it is a whole number, or a list of such."""
        return any(_unannotated(part) is int for part in (self.type, *get_args(_unannotated(self.type))))

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that its value must be one of; empty if it may be another."""
        return ("true", "false") if _unannotated(self.type) is bool else _choices(self.type)

    @cached_property
    def expected(self) -> str:
        """What a value must be, in words that follow "expected"."""
        return str(self.rule.get("expected")) if "expected" in self.rule else _in_words(self.type, self.rule)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a value as a file may have it: numbers and lists may be written as text."""
        return _schema(self.type, self.rule)

    def parse(self, value: object) -> object:
        """Return the parameter's value from a value as CSV, JSON or Python has it, or a `Problem`."""
        try:
            return self._adapter.validate_python(value)
        except ValidationError:
            return self.problem(value)

    def problem(self, value: object) -> Problem:
        """Return that a value cannot be the parameter's: what was expected, and what may be meant."""
        own = (_choices(self.type), *map(_choices, get_args(_unannotated(self.type))), self.rule.get("words", ()))
        words = next(filter(None, own), ())
        return Problem(self.name, value, with_nearest(self.expected, value, words))

    @cached_property
    def _adapter(self) -> "TypeAdapter[Any]":
        bounds = {name: self.rule[name] for name in _BOUNDS if name in self.rule}
        bounded: Any = Annotated[self.type, Field(**bounds)]
        return TypeAdapter(bounded)


def as_text(value: object) -> str:
    """Return a parameter's value as a cell of a CSV file may have it; empty for None."""
    if isinstance(value, tuple | list):
        return ",".join(map(as_text, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _unannotated(type: Any) -> Any:
    """Return an annotated type without its annotations."""
    return get_args(type)[0] if get_origin(type) is Annotated else type


def _choices(type: Any) -> tuple[str, ...]:
    """Return the words that a text must be one of; empty if it may be another."""
    if get_origin(type) is Literal:
        return get_args(type)
    marks = get_args(type)[1:] if get_origin(type) is Annotated else ()
    return next((tuple(mark.choices) for mark in marks if isinstance(mark, OneOf)), ())


def _in_words(type: Any, bounds: Mapping[str, Any]) -> str:
    """Return what a value of a type must be."""
    if choices := _choices(type):
        return " or ".join(choices)
    plain = _unannotated(type)
    if plain is bool:
        return "true or false"
    if "le" in bounds:
        return f"a {'whole ' if plain is int else ''}number from {bounds['ge']} to {bounds['le']}"
    return f"a finite number of at least {bounds['ge']}"


def _schema(type: Any, bounds: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a value of a type; bounds hold where it is written as a number."""
    if choices := _choices(type):
        return {"enum": list(choices)}
    plain = _unannotated(type)
    if get_origin(plain) is tuple:
        return {"anyOf": [{"type": "array"}, {"type": "number"}, {"type": "string"}]}
    if get_origin(plain) in (Union, types.UnionType):
        return {"anyOf": [_schema(part, bounds) for part in get_args(plain)]}
    names = {int: "integer", float: "number", str: "string", bool: "boolean", types.NoneType: "null"}
    if plain not in (int, float):
        return {"type": names[plain]}
    words = {"ge": "minimum", "le": "maximum"}
    limits = {words[name]: value for name, value in bounds.items() if name in words}
    return {"type": [names[plain], "string"], **limits}  # YAML reads 1e-3 as text
