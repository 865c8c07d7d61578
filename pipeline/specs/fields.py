"""Kinds of fields that jobs are made of: places relative to a job file, named pictures, style parameters."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from nst_kernel.params import ALIASES, PARAMETERS, ParamError, StyleParams, known_name, with_nearest
from pipeline import storage
from pipeline.encoder import PIN, split_pin
from pipeline.manifest import MAX_NAME, PICTURE_PARAMETERS, SEVERAL, each_of
from pipeline.options import OPTIONS
from pipeline.specs import globs

Loc = tuple[str | int, ...]
Complaint = tuple[Loc, object, str]
"""Where below a field, the value, what was expected."""


class Section(BaseModel):
    """A part of a job: nothing unknown in it, and it does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def as_option(name: str) -> Any:
    """Declare a field of a job that is an option of a run: with the option's description, bounds and default."""
    option = OPTIONS[name]
    return Field(option.default, description=option.description, **option.bounds)


def unusable(complaints: Iterable[Complaint]) -> ValidationError:
    """Make an error that a validator can raise for entries below its field."""
    details = [
        InitErrorDetails(type=PydanticCustomError("unusable", "{expected}", {"expected": what}), loc=loc, input=value)
        for loc, value, what in complaints
    ]
    return ValidationError.from_exception_data("job", details)


_FOR_SHELLS = re.compile(r"^~[^/]*|\$\{\w+\}|\$[A-Z_][A-Z0-9_]*|(?<=/)\$\w+|^\$\w+")
"""What shells replace in a path and nothing else does: a home folder, and the value of a variable."""


def _resolved(uri: str, info: ValidationInfo) -> str:
    place = storage.absolute(storage.resolve(uri, _base(info)))
    _check_for_shells(uri, place)
    return uri if (info.context or {}).get("as_written") else place


def _check_for_shells(uri: str, place: str) -> None:
    """Raise ValueError for a location that only a shell understands, unless something is called that.

    Args:
        uri: as it is written.
        place: what it means literally.
    """
    mark = _FOR_SHELLS.search(uri)
    if mark is None or storage.exists(place):
        return
    if mark[0].startswith("$"):
        raise ValueError(f"a location written out: only shells put a value in the place of {mark[0]}")
    home = posixpath.expanduser(uri)
    raise ValueError(f"a location written out, {home}: only shells put a folder in the place of {mark[0]}")


def _base(info: ValidationInfo) -> str:
    return str((info.context or {}).get("base") or storage.absolute("."))


def _resolved_pattern(uri: str, info: ValidationInfo) -> str:
    base = _base(info)
    _check_for_shells(uri, storage.absolute(storage.resolve(uri, base)))
    return storage.absolute(storage.resolve(globs.with_literal_names(uri, base), globs.escaped(base)))


JOB_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"

Text = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]

Location = Annotated[Text, AfterValidator(_resolved)]
"""A path or URI; relative ones start at the job file's folder (context `base`), or where the process is."""


Pattern = Annotated[Text, AfterValidator(_resolved_pattern)]
"""A location, or a pattern of several. What is a wildcard in it is none in the names of the folders above it, nor in a
name that exists exactly as it is written."""


def _weights(text: str, info: ValidationInfo) -> str:
    source, digest = split_pin(text)
    place = source if source in ("embedded", "imagenet") else _resolved(source, info)
    return place if digest is None else f"{place}{PIN}{digest}"


WeightsLocation = Annotated[Text, AfterValidator(_weights)]
"""`embedded`, `imagenet`, or a location, each with a pin behind it or none."""


def _mixed(value: object) -> object:
    """Return several styles that are one mixture as one text; anything else as it is."""
    if isinstance(value, list | tuple) and value and all(isinstance(uri, str) for uri in value):
        return SEVERAL.join(value)
    return value


def _resolved_mixture(uris: str, info: ValidationInfo) -> str:
    return SEVERAL.join(_resolved_pattern(uri, info) for uri in each_of("style", uris))


Mixture = Annotated[Text, BeforeValidator(_mixed), AfterValidator(_resolved_mixture)]
"""A pattern of styles, or several whose styles are mixed: a list, or a text with `|` between them."""


def _by_name(value: object, info: ValidationInfo, role: str = "content") -> object:
    """Return one picture, a list of pictures or a mapping as a mapping; a picture without a name has its file's."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        return value
    named: dict[str, str] = {}
    complaints: list[Complaint] = []
    for place, uri in enumerate(value):
        if not isinstance(uri, str):
            complaints.append(((place,), uri, "a path or URI"))
            continue
        mixed = each_of(role, uri)
        is_pattern = len(mixed) == 1 and globs.is_glob(uri) and globs.is_glob(_resolved_pattern(uri, info))
        name = uri if is_pattern else "+".join(map(globs.stem, mixed))
        if name in named:
            advice = f"NAME={uri} as an option, NAME: {uri} in a job file"
            complaints.append(((place,), uri, f"a name of its own, as {named[name]} is {name!r} too: {advice}"))
        named[name] = uri
    if complaints:
        raise unusable(complaints)
    return named


def _fit_for_files(named: Mapping[str, str]) -> Mapping[str, str]:
    """Refuse names of pictures that cannot be parts of a path."""
    wrong = [name for name, uri in named.items() if not globs.is_glob(uri) and not is_file_name(name)]
    if wrong:
        raise unusable(((name,), name, "a name that a file may have: no slash, nothing but dots") for name in wrong)
    if not named:
        raise ValueError("at least one picture")
    return named


def is_file_name(name: str) -> bool:
    """Return whether a text may be a folder's name in an output."""
    return bool(name.strip(". ")) and not {"/", "\\", "\0"} & set(name) and len(name.encode()) <= MAX_NAME


_STRING = {"type": "string"}
_STRINGS = {"type": "array", "items": _STRING}
Named = Annotated[
    Mapping[str, Pattern],
    BeforeValidator(_by_name),
    AfterValidator(_fit_for_files),
    WithJsonSchema({"anyOf": [_STRING, _STRINGS, {"type": "object", "additionalProperties": _STRING}]}),
]
"""Pictures by name: one path, a list (each is named as its file, without extension), or names with paths. A pattern
stands for the files that fit."""

NamedStyles = Annotated[
    Mapping[str, Mixture],
    BeforeValidator(partial(_by_name, role="style")),
    AfterValidator(_fit_for_files),
    WithJsonSchema(
        {"anyOf": [_STRING, _STRINGS, {"type": "object", "additionalProperties": {"anyOf": [_STRING, _STRINGS]}}]}
    ),
]
"""Styles by name, as `Named`, of which each may be a mixture of several."""


def gather(named: Mapping[str, str]) -> dict[str, str]:
    """Return pictures by name, with patterns replaced by the files that fit them.

    Raises:
        ValueError: if a pattern finds nothing, or two pictures have one name.
        StorageError: if a folder cannot be listed.
    """
    pictures: dict[str, str] = {}
    for name, uri in named.items():
        if len(mixed := each_of("style", uri)) > 1:
            parts = [globs.found(part) if globs.is_glob(part) else [globs.literal(part)] for part in mixed]
            pictures[name] = SEVERAL.join(picture for part in parts for picture in part)
            continue
        pattern = globs.is_glob(uri)
        for picture in globs.found(uri) if pattern else [globs.literal(uri)]:
            called = globs.stem(picture) if pattern else name
            if called in pictures:
                raise ValueError(f"{picture}: expected a name of its own, {pictures[called]} is {called!r} too")
            pictures[called] = picture
    return pictures


def parameter_name(name: str) -> str:
    """Return the name of a parameter, also from its name in the paper."""
    return ALIASES.get(name, name)


def with_init_resolved(values: Mapping[str, Any], info: ValidationInfo) -> dict[str, Any]:
    """Return parameters whose pictures, such as `init` where it is a path, are absolute."""

    def resolved(role: str, value: Any) -> Any:
        if isinstance(value, str):
            if value.strip() in PICTURE_PARAMETERS[role]:
                return value
            return SEVERAL.join(_resolved(uri, info) for uri in each_of(role, value))
        if isinstance(value, Mapping):
            return {kind: resolved(role, part) for kind, part in value.items()}
        return [resolved(role, part) for part in value] if isinstance(value, list | tuple) else value

    return {name: resolved(name, value) if name in PICTURE_PARAMETERS else value for name, value in values.items()}


def _valid(values: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
    try:
        StyleParams.of({}, defaults=values)
    except ParamError as error:
        written = {parameter_name(name): name for name in values}
        raise unusable(
            (
                (written.get(problem.name, problem.name),),
                problem.value,
                problem.expected if problem.name in PARAMETERS else known_name(problem.name, PARAMETERS),
            )
            for problem in error.problems
        ) from None
    return with_init_resolved(values, info)


def parameter_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each parameter's value by its name; by its alias too, where it has one."""
    defaults = StyleParams().all_values()
    schemas = {
        name: each.schema | {"description": each.described, "default": defaults[name]}
        for name, each in PARAMETERS.items()
    }
    return schemas | {alias: PARAMETERS[name].schema | {"description": name} for alias, name in ALIASES.items()}


Parameters = Annotated[
    Mapping[str, Any],
    AfterValidator(_valid),
    WithJsonSchema({"type": "object", "properties": parameter_schemas(), "additionalProperties": False}),
]
"""Style parameters by name, each as its own rule wants it."""


def problems_of(error: ValidationError) -> Iterator[Complaint]:
    """Yield each problem of a job: its field, its value and what was expected."""
    for detail in error.errors(include_url=False):
        context = detail.get("ctx", {})
        match detail["type"]:
            case "unusable":
                expected = str(context["expected"])
            case "missing":
                expected = "a value: this field is needed"
            case "tuple_type":
                expected = "a list"
            case "dict_type" | "mapping_type" | "model_type":
                expected = "names with values"
            case "extra_forbidden":
                expected = "a known name"
            case "literal_error":
                expected = str(context["expected"])
                expected = with_nearest(expected, detail["input"], re.findall("'([^']*)'", expected))
            case "value_error":
                expected = str(context.get("error", detail["msg"])).removeprefix("expected ")
            case "int_type" | "int_parsing" | "int_from_float":
                expected = "a whole number"
            case "float_type" | "float_parsing":
                expected = "a number"
            case "bool_type" | "bool_parsing":
                expected = "true or false"
            case "string_type":
                expected = "text"
            case "string_pattern_mismatch" if context["pattern"] == JOB_NAME:
                expected = "at most 63 letters, digits, and _ . - between them"
            case "string_pattern_mismatch":
                expected = f"text that fits {context['pattern']}"
            case _:
                expected = detail["msg"].removeprefix("Input should be ")
        yield detail["loc"], detail["input"], expected
