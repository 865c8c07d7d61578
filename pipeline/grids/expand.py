"""Parameter grids: contents × styles × parameters as rows, whose names say what they are and never change."""

import hashlib
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, model_validator

from nst_kernel.params.style_params import KNOBS, ParamError, StyleParams
from pipeline.manifest.reader import ManifestError, Row, RowProblem
from pipeline.specs import axes, conditions, globs
from pipeline.specs.axes import Axis, Draw
from pipeline.specs.fields import Complaint, Named, Section, gather, knob_schemas, unusable, with_init_located

MAX_ROWS = 1_000_000
"""Of one grid; whoever asks for more has likely mistyped."""


class Samples(Section):
    """How often, and how, the parameters that are left to chance are drawn."""

    count: int = Field(ge=1, le=axes.MAX_VALUES, description="Draws; each meets all contents, styles and values.")
    seed: int = Field(0, ge=0, description="Another one, other draws.")
    method: Literal["latin-hypercube", "random"] = Field(
        "latin-hypercube", description="latin-hypercube: of each parameter, one draw in each of `count` equal shares."
    )


def _usable(parameters: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
    _, complaints = axes.parse(parameters)
    if complaints:
        raise unusable(complaints)
    return with_init_located(parameters, info)


def _schema() -> dict[str, Any]:
    """Of parameters: each knob's value, a list of them, or a distribution."""
    number = {"type": ["number", "string"]}
    spaces = [("linspace", 3), ("logspace", 3), ("uniform", 2), ("loguniform", 2)]
    forms = [
        {
            "type": "object",
            "properties": {kind: {"type": "array", "items": number, "minItems": count, "maxItems": count}},
            "required": [kind],
            "additionalProperties": False,
        }
        for kind, count in spaces
    ]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {
                "description": schema["description"],
                "anyOf": [value, {"type": "array", "items": value}, *forms, _choice(value)],
            }
            for name, schema in knob_schemas().items()
            for value in [{key: part for key, part in schema.items() if key not in ("description", "default")}]
        },
    }


def _choice(schema: Mapping[str, Any]) -> dict[str, Any]:
    items = {"type": "array", "items": schema, "minItems": 1}
    return {"type": "object", "properties": {"choice": items}, "required": ["choice"], "additionalProperties": False}


def _excludable(listed: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    complaints: list[Complaint] = []
    for place, condition in enumerate(listed):
        complaints += [((place, *loc), value, expected) for loc, value, expected in conditions.parse(condition)[1]]
    if complaints:
        raise unusable(complaints)
    return tuple(map(dict, listed))


_Parameters = Annotated[Mapping[str, Any], AfterValidator(_usable), WithJsonSchema(_schema())]
_Excluded = Annotated[tuple[Mapping[str, Any], ...], AfterValidator(_excludable)]


class GridSpec(Section):
    """What a grid is made of."""

    contents: Named | None = Field(None, description="Content pictures: a path, a list of them, or names with paths.")
    styles: Named | None = Field(None, description="Style pictures, likewise.")
    parameters: _Parameters = Field(
        default_factory=dict,
        description="By style parameter a value, a list of values, or one of linspace: [from, to, count], logspace: "
        "[from, to, count], uniform: [from, to], loguniform: [from, to], choice: [values].",
    )
    samples: Samples | None = Field(None, description="Of the parameters that are left to chance.")
    exclude: _Excluded = Field(
        (),
        description="Combinations to leave out: by parameter, content or style a value, several, or {min, max}. "
        "Those that fit all of one condition are left out.",
    )

    @model_validator(mode="after")
    def _whole(self) -> "GridSpec":
        found, _ = axes.parse(self.parameters)
        drawn = [each.knob for each in found if isinstance(each, Draw)]
        complaints: list[Complaint] = []
        if drawn and self.samples is None:
            complaints.append((("samples",), None, f"count: how often {', '.join(drawn)} shall be drawn"))
        if self.samples and not drawn:
            complaints.append((("samples",), None, "a parameter that is left to chance: uniform, loguniform or choice"))
        if not self.contents and not self.styles:
            complaints.append((("contents",), None, "pictures, here or as styles"))
        if complaints:
            raise unusable(complaints)
        return self


class Keep(Section):
    """Which complete runs are kept; the others are deleted when a run has ended. A run that either names is kept."""

    runs: int | None = Field(None, ge=1, description="The last so many.")
    days: float | None = Field(None, gt=0, description="Those that ended within so many days.")

    @model_validator(mode="after")
    def _one_at_least(self) -> "Keep":
        if self.runs is None and self.days is None:
            raise ValueError("runs: how many, or days: how long; or leave keep out to keep all")
        return self


@dataclass(frozen=True)
class Expansion:
    """The rows of a grid.

    Attributes:
        rows: in the order of contents, styles and parameters.
        combinations: of which they are what is left.
        excluded: combinations that each condition leaves out, the first that fits counts.
        repeated: combinations that draws by chance made twice.
    """

    rows: list[Row]
    combinations: int
    excluded: list[int]
    repeated: int


def expand(spec: GridSpec, *, defaults: Mapping[str, object] | None = None, file: str = "grid") -> Expansion:
    """Every combination of a grid that no condition leaves out.

    Args:
        spec: the grid.
        defaults: parameters that it does not vary.
        file: where it stands, for messages and the results.

    Raises:
        ManifestError: with every combination that contradicts itself, or if there are too many or none.
        ValueError: if a pattern finds no picture, or two have one name.
        StorageError: if a folder cannot be listed.
    """
    contents, styles = _pictures(spec.contents), _pictures(spec.styles)
    found, _ = axes.parse(spec.parameters)
    listed, drawn = _sizes(found, spec.samples)
    combinations = len(contents) * len(styles) * listed * drawn
    if combinations > MAX_ROWS:
        _refuse(file, f"at most {MAX_ROWS:,} combinations, these are {combinations:,}")
    tests = [conditions.parse(condition)[0] for condition in spec.exclude]
    rows: dict[str, Row] = {}
    excluded, repeated = Counter[int](), 0
    wrong: dict[str, RowProblem] = {}
    settings = _settings(found, spec.samples, defaults or {})
    for (content, content_uri), (style, style_uri) in itertools.product(contents, styles):
        for given, params in settings:
            names = {"content": content, "style": style}
            values = {name: getattr(params, name) for name in KNOBS} if isinstance(params, StyleParams) else given
            out = next((place for place, test in enumerate(tests) if test(names, values)), None)
            if out is not None:
                excluded[out] += 1
                continue
            id = combination_id(content, style, given)
            if id in rows:
                repeated += 1
                continue
            if isinstance(params, ParamError):
                wrong[said(given)] = RowProblem(file, None, said(given), "", f"parameters that agree; {params}")
                continue
            if (params.needs_content and not content_uri) or (params.needs_style and not style_uri):
                wrong[said(given)] = RowProblem(file, None, said(given), "", "both contents and styles for it")
            name = output_name(content, style, given, id)
            rows[id] = Row(id, content_uri, style_uri, name, params, file, len(rows) + 1)
    if wrong:
        raise ManifestError(list(wrong.values()))
    if not rows:
        _refuse(file, f"a combination that is left: the conditions leave out all {combinations:,}")
    return Expansion(list(rows.values()), combinations, [excluded[place] for place in range(len(tests))], repeated)


def _pictures(named: Mapping[str, str] | None) -> list[tuple[str, str] | tuple[None, None]]:
    """Names and URIs; a single nothing where a grid has no such pictures."""
    return list(gather(named).items()) if named else [(None, None)]


def _refuse(file: str, expected: str) -> None:
    raise ManifestError([RowProblem(file, None, None, "", expected)])


def _sizes(found: Sequence[Axis | Draw], samples: Samples | None) -> tuple[int, int]:
    """Combinations of listed values, and draws."""
    return math.prod(len(each.values) for each in found if isinstance(each, Axis)), samples.count if samples else 1


_Setting = tuple[Mapping[str, Any], StyleParams | ParamError]


def _settings(found: Sequence[Axis | Draw], samples: Samples | None, defaults: Mapping[str, object]) -> list[_Setting]:
    """What the grid gives of each combination of parameters, with all parameters resolved, or why they cannot be."""
    listed = [each for each in found if isinstance(each, Axis)]
    drawn = list(_draws([each for each in found if isinstance(each, Draw)], samples))
    settings: list[_Setting] = []
    for values, sample in itertools.product(itertools.product(*(axis.values for axis in listed)), drawn):
        chosen = {axis.knob: value for axis, value in zip(listed, values, strict=True)} | sample
        given = {name: chosen[name] for name in KNOBS if name in chosen}
        try:
            settings.append((given, StyleParams.of(given, defaults=defaults)))
        except ParamError as error:
            settings.append((given, error))
    return settings


def _draws(drawn: Sequence[Draw], samples: Samples | None) -> Iterator[dict[str, Any]]:
    if not samples:
        yield {}
        return
    columns = [axes.shares(each.knob, samples.count, method=samples.method, seed=samples.seed) for each in drawn]
    for shares in zip(*columns, strict=True):
        yield {each.knob: each.at(float(share)) for each, share in zip(drawn, shares, strict=True)}


def combination_id(content: str | None, style: str | None, given: Mapping[str, Any]) -> str:
    """A combination as 16 hex digits, of its pictures' names and what the grid gives, whatever else the grid has."""
    named = {name: globs.stem(value) if name == "init" else value for name, value in given.items()}
    meaning = {"content": content, "style": style, "parameters": named}
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]


def said(given: Mapping[str, Any]) -> str:
    """A combination's parameters in words: `size=256,style_weight=2`."""
    return ",".join(f"{name}={_word(value)}" for name, value in given.items())


def output_name(content: str | None, style: str | None, given: Mapping[str, Any], id: str) -> str:
    """`cat/starry/size=256,style_weight=2-1f0c….png`: content, style and parameters, and what makes it unique."""
    words = re.sub(r"[^\w.,=+-]", "_", said(given), flags=re.ASCII)[:200]
    return f"{content or 'texture'}/{style or 'reconstruction'}/{words}{'-' if words else ''}{id}.png"


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(map(_word, value))
    return f"{value:g}" if isinstance(value, float) else str(value).rpartition("/")[2]
