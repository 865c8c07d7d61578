"""Messages about values of parameters that pydantic refuses."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from nst_kernel.params.declaration import Parameter
from nst_kernel.params.nearest import known_name
from nst_kernel.params.presets import preset_values
from nst_kernel.params.rules import ParamError, Problem

Declared = TypeVar("Declared")
"""A class that declares parameters."""

Names = Callable[[], tuple[Mapping[str, Parameter], Collection[str]]]
"""Returns every parameter by its name, and other names of some of them, once they are declared."""


def raising_param_error(names: Names) -> Callable[[type[Declared]], type[Declared]]:
    """Return a decorator of a pydantic dataclass: its constructor raises a ParamError where pydantic refuses values."""

    def decorate(declared: type[Declared]) -> type[Declared]:
        changed = cast(Any, declared)
        validator = changed.__pydantic_validator__

        def construct(self: object, /, **given: object) -> None:
            try:
                validator.validate_python(given, self_instance=self)
            except ValidationError as error:
                raise ParamError(problems_of(error, given, *names())) from None

        changed.__init__ = construct
        return declared

    return decorate


def problems_of(
    error: ValidationError,
    given: Mapping[str, object],
    parameters: Mapping[str, Parameter],
    aliases: Collection[str],
) -> list[Problem]:
    """Return what is wrong with the values that are given, each parameter once, unknown names first.

    Args:
        error: that pydantic raised.
        given: values by name.
        parameters: every parameter by its name.
        aliases: other names of some of them.
    """
    unknown: dict[str, Problem] = {}
    wrong: dict[str, Problem] = {}
    values = {**preset_values(given.get("preset")), **given}
    for detail in error.errors(include_url=False, include_input=False):
        if not detail["loc"]:  # values that contradict each other
            return list(detail["ctx"]["error"].problems)
        name = str(detail["loc"][0])
        if name in parameters:
            wrong[name] = parameters[name].problem(values[name])
        else:
            unknown[name] = Problem(name, values[name], known_name(name, parameters, aliases))
    return [*unknown.values(), *wrong.values()]
