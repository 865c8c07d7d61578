"""Options of a run by name, whatever model they are fields of: how people give them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic.fields import FieldInfo

from pipeline.options.model import Options, bounds_of, extra_of
from pipeline.options.run_options import RunOptions

_Model = TypeVar("_Model", bound=Options)


@dataclass(frozen=True)
class Option:
    """One option of a run.

    Attributes:
        name: as in job files and notebooks; on a command line --name, with - for _.
        path: fields that lead from `RunOptions` to it, such as ("resources", "num_actors").
        field: its declaration.
    """

    name: str
    path: tuple[str, ...]
    field: FieldInfo

    @property
    def annotation(self) -> Any:
        """The type of its value as people write it."""
        return extra_of(self.field).get("written") or self.field.annotation

    @property
    def default(self) -> Any:
        """The value used if none is given; None if people write the option in another form than programs do."""
        return None if extra_of(self.field).get("written") else self.field.default

    @property
    def description(self) -> str:
        """What it does, for people."""
        return self.field.description or ""

    @property
    def bounds(self) -> dict[str, Any]:
        """Its bounds as keywords of pydantic's Field: ge, gt, le."""
        return bounds_of(self.field)

    @property
    def metavar(self) -> str | None:
        """What `--help` shows in the place of a value, if not its type."""
        metavar: str | None = extra_of(self.field).get("metavar")
        return metavar

    @property
    def library(self) -> bool:
        """Whether only programs may set it."""
        return bool(extra_of(self.field).get("library"))


def _options(model: type[Options], path: tuple[str, ...] = ()) -> Iterator[Option]:
    """Yield the options of a model and of the models within it, in the order of their declaration."""
    for name, field in model.model_fields.items():
        inner = _model_within(field)
        if inner:
            yield from _options(inner, (*path, name))
        else:
            yield Option(name, (*path, name), field)


def _model_within(field: FieldInfo) -> type[Options] | None:
    """Return the option model that a field contains; None if there is none or it is written as one value."""
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, Options) and not extra_of(field).get("written"):
        return kind
    return None


OPTIONS: Mapping[str, Option] = {option.name: option for option in _options(RunOptions)}
"""Every option of a run by its name."""

GIVEN: Mapping[str, Option] = {name: option for name, option in OPTIONS.items() if not option.library}
"""Options that every command that computes has, and every notebook function."""


def run_options(**values: Any) -> RunOptions:
    """Return the options of a run from values by name; None stands for the default.

    Raises:
        OptionError: for values that cannot be used.
        KeyError: for a name that is no option's.
    """
    unknown = values.keys() - OPTIONS.keys()
    if unknown:
        raise KeyError(*sorted(unknown))
    return _build(RunOptions, {name: value for name, value in values.items() if value is not None})


def _build(model: type[_Model], values: Mapping[str, Any]) -> _Model:
    """Return a model with those of the values that are its fields', or of the models within it."""
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if inner := _model_within(field):
            fields[name] = _build(inner, values)
        elif name in values:
            fields[name] = values[name]
    return model(**fields)
