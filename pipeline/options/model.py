"""The base of all option models, and how one of their fields is declared."""

from collections.abc import Iterator
from typing import Any, Literal, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from nst_kernel.params import with_nearest


class OptionError(ValueError):
    """Raised for options that cannot be used; the message names each option, its value and what was expected."""


class Options(BaseModel):
    """A group of options of a run: frozen, compared by value, and nothing unknown in it.

    Raises:
        OptionError: with every option that cannot be used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise OptionError("; ".join(_messages(type(self), error))) from None

    # Pydantic then builds nested models without this method, so that their errors keep their places.
    cast(Any, __init__).__pydantic_base_init__ = True


def option(
    default: Any,
    description: str,
    *,
    unit: str = "",
    metavar: str | None = None,
    written: Any = None,
    library: bool = False,
    **bounds: Any,
) -> Any:
    """Declare a field of an option model: the one place of its description, bounds and default.

    Args:
        default: what holds where nothing is given.
        description: for `--help`, the JSON Schema of job files, and the table in jobs/README.md.
        unit: what a number counts, such as seconds.
        metavar: what `--help` shows in the place of a value.
        written: the type of the value as people write it, where it is not the field's.
        library: whether only programs may set it: no command, job file or notebook has it.
        **bounds: pydantic's, such as ge=1.
    """
    extra = {"unit": unit, "metavar": metavar, "written": written, "library": library}
    return Field(default, description=description, json_schema_extra=extra, **bounds)


def extra_of(field: FieldInfo) -> dict[str, Any]:
    """Return what `option` notes about a field besides pydantic's own attributes."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def bounds_of(field: FieldInfo) -> dict[str, Any]:
    """Return the bounds of a field as keywords of pydantic's Field: ge, gt, le."""
    kinds = ((Ge, "ge"), (Gt, "gt"), (Le, "le"))
    return {name: getattr(mark, name) for mark in field.metadata for kind, name in kinds if isinstance(mark, kind)}


def _messages(model: type[BaseModel], error: ValidationError) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong with the values of a model."""
    for detail in error.errors(include_url=False):
        name = ".".join(map(str, detail["loc"]))
        if detail["type"] == "value_error":
            text = str(detail.get("ctx", {}).get("error", detail["msg"]))
            yield f"{name} = {detail['input']!r}: {text}" if name and text.startswith("expected ") else text
        elif (field := model.model_fields.get(name)) is None:
            yield f"{name}: expected one of {', '.join(model.model_fields)}"
        else:
            choices = list(map(str, _choices(field)))
            wanted = with_nearest(expected(field), detail["input"], choices)
            yield f"{name} = {detail['input']!r}: expected {wanted}"


def _choices(field: FieldInfo) -> tuple[object, ...]:
    """Return the values that a field takes, where they are few; else nothing."""
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def expected(field: FieldInfo) -> str:
    """Return in words which values a field takes."""
    kinds = {kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind is not type(None)}
    bounds, unit = bounds_of(field), str(extra_of(field).get("unit", ""))
    if choices := _choices(field):
        return f"one of {', '.join(map(str, choices))}"
    if kinds == {bool}:
        return "true or false"
    if kinds == {str}:
        return "text"
    if get_origin(field.annotation) is tuple:
        return "a list of texts"
    if kinds <= {int, float} and kinds:
        return _number(unit or ("a whole number" if kinds == {int} else "a number"), unit, **bounds)
    return " or ".join(sorted(getattr(kind, "__name__", str(kind)) for kind in kinds))


def _number(what: str, unit: str, ge: float | None = None, gt: float | None = None, le: float | None = None) -> str:
    """Return in words which numbers lie within bounds: `seconds, 0 or more`, `a whole number of at least 1`."""
    words = what
    if ge is not None:
        words += f", {ge} or more" if unit else f" of at least {ge}"
    if gt is not None:
        words += f", more than {gt}" if unit else f" of more than {gt}"
    if le is not None:
        words += f" and at most {le}" if words != what else f" of at most {le}"
    return words
