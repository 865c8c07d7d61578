"""Options of commands: typer's signatures, made from the models that declare the options."""

import contextlib
import functools
import inspect
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

import typer
from pydantic import BaseModel

from jobs import completion
from pipeline import storage
from pipeline.options import GIVEN, Access, Decoding, bounds_of


@dataclass(frozen=True)
class Parameters:
    """Options of commands that give style parameters to rows; see `parameters`."""

    defaults: Annotated[
        Path | None, typer.Option(help="A JSON file of style parameters for rows that do not give them.")
    ] = None
    settings: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A style parameter for rows that do not give it; repeatable.",
            autocompletion=completion.settings,
        ),
    ] = field(default_factory=list)

    @property
    def chosen(self) -> "Chosen":
        """The style parameters that were given; raises what `parameters` does."""
        return parameters(self.defaults, self.settings)


@dataclass(frozen=True)
class Costs:
    """Options of commands that tell what a job would take."""

    rate: Annotated[
        float | None,
        typer.Option(min=1, help="Multiply-adds per second of one actor; by default measured here in about a second."),
    ] = None
    price: Annotated[float | None, typer.Option(min=0, help="Dollars for an hour of one actor's device.")] = None
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object instead of tables, of what would be done.")
    ] = False


Port = Annotated[int, typer.Option(min=0, max=65535, help="With --serve: the port; 0: any that is free.")]
WithReport = Annotated[
    bool, typer.Option("--report/--no-report", help="Make the report at the end, in OUTPUT/report/.")
]


DryRun = Annotated[bool, typer.Option("--dry-run", "--plan", help="Show what it would do and cost, and start nothing.")]


@dataclass(frozen=True)
class Computing:
    """Options of commands that compute a job, beside those of its run."""

    with_report: WithReport = True
    dry_run: DryRun = False
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Serve the page on this machine while the run goes, with rows as they finish."),
    ] = False
    port: Port = 0


ACCESS = tuple(Access.model_fields)
"""Names of the options that say what may be opened."""

DECODING = tuple(Decoding.model_fields)
"""Names of the options that say what decoding a picture may take."""

SHORT = {"output": "-o"}
"""Short names of options."""

METAVARS = {"include": "PATTERN", "exclude": "PATTERN", "after": "DATE", "before": "DATE"}
"""What `--help` shows in the place of values whose type tells less."""

_EXAMPLE = '{"size": 512}'


def run_options(
    *, only: Collection[str] = (), without: Collection[str] = (), elsewhere: Collection[str] = ()
) -> list[inspect.Parameter]:
    """Return signature parameters that give a command the options of a run.

    Args:
        only: names of the options; by default all.
        without: names of options that the command has in another way.
        elsewhere: names of options whose default comes from somewhere else than the models, so that none is shown.
    """
    names = [name for name in GIVEN if (name in only or not only) and name not in without]
    return [
        _parameter(
            name,
            option.annotation | None if name in elsewhere else _readable(option.annotation),
            None if name in elsewhere else option.default,
            _shown(option.description, option.metavar, option.bounds),
        )
        for name, option in ((name, GIVEN[name]) for name in names)
    ]


def fields_of(model: type[BaseModel], *, without: Collection[str]) -> list[inspect.Parameter]:
    """Return parameters of a command for the fields of a job's model."""
    return [
        _parameter(
            name,
            _plain(field.annotation),
            field.default,
            _shown(field.description or "", METAVARS.get(name), bounds_of(field)),
        )
        for name, field in model.model_fields.items()
        if name not in without
    ]


def _plain(annotation: Any) -> Any:
    """Return the type of a field as a command line can read it: what it cannot read is text, checked by the model."""
    if get_origin(annotation) is tuple:
        return list[str]
    if get_origin(annotation) is Literal:
        return annotation
    kinds = [kind for kind in (get_args(annotation) or (annotation,)) if kind is not type(None)]
    optional = type(None) in get_args(annotation)
    kind = kinds[0] if len(kinds) == 1 and kinds[0] in (bool, int, float, str) else str
    return kind | None if optional else kind


def _readable(annotation: Any) -> Any:
    """Return the type of an option as typer reads it: of several values, a list."""
    return list[str] if get_origin(annotation) is tuple else annotation


def _shown(description: str, metavar: str | None, bounds: Mapping[str, Any]) -> dict[str, Any]:
    """Return typer's keywords for an option's help and inclusive bounds; the model checks exclusive bounds."""
    return {"help": description, "metavar": metavar, "min": bounds.get("ge"), "max": bounds.get("le")}


def variable(name: str) -> str:
    """Return the environment variable that gives an option where the command line does not."""
    return f"NST_{name.upper()}"


def _parameter(name: str, annotation: Any, default: Any, shown: Mapping[str, Any]) -> inspect.Parameter:
    """Return a parameter that typer makes an option of."""
    names = [f"--{name.replace('_', '-')}", SHORT[name]] if name in SHORT else []
    default = list(default) if isinstance(default, tuple) else default
    option = Annotated[annotation, typer.Option(*names, envvar=variable(name), show_envvar=False, **shown)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=option)


def takes(*groups: Iterable[inspect.Parameter]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command options in the place of its parameter `given`.

    The command gets those that a person gave, by name, on the command line or in the environment: what is not given is
    the model's default, or a job file's value. A parameter that is one of the dataclasses of this module stands for an
    option for each of its fields, of which the command gets all.
    """
    options = [parameter for group in groups for parameter in group]
    names = [parameter.name for parameter in options]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters
        kinds = {name: each.annotation for name, each in own.items() if isinstance(each.annotation, type)}
        bundles: dict[str, type[Any]] = {name: kind for name, kind in kinds.items() if is_dataclass(kind)}

        @functools.wraps(command)
        def called(ctx: typer.Context, **values: Any) -> None:
            sources = {name: ctx.get_parameter_source(name) for name in names}
            given = {name: values.pop(name) for name in names}
            said = ("COMMANDLINE", "ENVIRONMENT")
            given = {name: given[name] for name, source in sources.items() if source and source.name in said}
            for name, bundle in bundles.items():
                values[name] = bundle(**{member.name: values.pop(member.name) for member in fields(bundle)})
            with _allowing(given):
                command(ctx=ctx, given=given, **values)

        parameters: list[inspect.Parameter] = []
        for name, parameter in own.items():
            if name == "given":
                parameters += options
            elif name in bundles:
                parameters += _members(bundles[name])
            else:
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        cast(Any, called).__signature__ = inspect.Signature(parameters)
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return called

    return decorate


def _members(bundle: type[Any]) -> Iterator[inspect.Parameter]:
    """Yield a parameter for each field of a dataclass of options."""
    annotations = get_type_hints(bundle, include_extras=True)
    for member in fields(bundle):
        default = member.default if member.default_factory is MISSING else member.default_factory()
        kind = inspect.Parameter.KEYWORD_ONLY
        yield inspect.Parameter(member.name, kind, default=default, annotation=annotations[member.name])


def _allowing(given: Mapping[str, Any]) -> contextlib.AbstractContextManager[None]:
    """Return a block in which a command may open what a person allowed, such as the job file that says more."""
    access = {name: given[name] for name in ACCESS if name in given}
    return storage.allowing(Access(**access).allowed) if access else contextlib.nullcontext()


@dataclass(frozen=True)
class Chosen:
    """Style parameters that were given on the command line.

    Attributes:
        values: by name, of a file and of --set.
        settings: by name, those of --set.
    """

    values: Mapping[str, object]
    settings: Mapping[str, object]


def parameters(defaults: Path | None, settings: list[str]) -> Chosen:
    """Return style parameters from a JSON file and from KEY=VALUE words, which outrank the file.

    Raises:
        ValueError: for a file that is no JSON object, a word without `=`, or values that cannot be used, every one of
            them by the option that gave it.
    """
    from nst_kernel import StyleParams
    from nst_kernel.params import ALIASES, ParamError

    values: dict[str, object] = {}
    if defaults:
        try:
            values = json.loads(defaults.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"--defaults {defaults}: {error}. Expected a JSON file such as {_EXAMPLE}") from error
        if not isinstance(values, dict):
            raise ValueError(f"--defaults {defaults}: expected a JSON object such as {_EXAMPLE}")
    origins = {ALIASES.get(name, name): f"--defaults {defaults}: " for name in values}
    set_now: dict[str, object] = {}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals:
            raise ValueError(f"--set {setting}: expected KEY=VALUE, such as size=512")
        set_now[key] = value
        origins[ALIASES.get(key, key)] = "--set "
    values |= set_now
    try:
        StyleParams.of({}, defaults=values)
    except ParamError as error:
        raise ValueError("; ".join(f"{origins.get(p.name, '')}{p}" for p in error.problems)) from None
    return Chosen(values, set_now)
