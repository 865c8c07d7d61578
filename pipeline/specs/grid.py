"""Fields of a job of kind grid."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, model_validator

from pipeline.specs import axes, conditions
from pipeline.specs.axes import Draw
from pipeline.specs.fields import (
    Complaint,
    Named,
    NamedStyles,
    Section,
    parameter_schemas,
    unusable,
    with_init_resolved,
)


class Samples(Section):
    """How often, and how, parameters with a distribution are drawn."""

    count: int = Field(ge=1, le=axes.MAX_VALUES, description="Draws; each meets all contents, styles and values.")
    seed: int = Field(0, ge=0, description="Another one, other draws.")
    method: Literal["latin-hypercube", "random"] = Field(
        "latin-hypercube", description="latin-hypercube: of each parameter, one draw in each of `count` equal shares."
    )


def _usable(parameters: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
    """Refuse parameters whose values cannot be used; make paths of `init` absolute."""
    _, complaints = axes.parse(parameters)
    if complaints:
        raise unusable(complaints)
    return with_init_resolved(parameters, info)


def _schema() -> dict[str, Any]:
    """Return the JSON Schema of a grid's parameters: a value, a list of values or a distribution for each."""
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
            for name, schema in parameter_schemas().items()
            for value in [{key: part for key, part in schema.items() if key not in ("description", "default")}]
        },
    }


def _choice(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a choice between values."""
    items = {"type": "array", "items": schema, "minItems": 1}
    return {"type": "object", "properties": {"choice": items}, "required": ["choice"], "additionalProperties": False}


def _excludable(listed: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Refuse conditions that cannot be used."""
    complaints: list[Complaint] = []
    for place, condition in enumerate(listed):
        complaints += [((place, *loc), value, expected) for loc, value, expected in conditions.parse(condition)[1]]
    if complaints:
        raise unusable(complaints)
    return tuple(map(dict, listed))


_Parameters = Annotated[Mapping[str, Any], AfterValidator(_usable), WithJsonSchema(_schema())]


_Excluded = Annotated[tuple[Mapping[str, Any], ...], AfterValidator(_excludable)]


class GridSpec(Section):
    """The combinations of a grid: contents, styles and parameters."""

    contents: Named | None = Field(None, description="Content pictures: a path, a list of them, or names with paths.")
    styles: NamedStyles | None = Field(
        None, description="Style pictures: a path, a list of them, or names with paths; of a mixture, several."
    )
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
        axes_of_grid, _ = axes.parse(self.parameters)
        drawn = [each.parameter for each in axes_of_grid if isinstance(each, Draw)]
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
