"""Every parameter of a style transfer, declared once: type, bounds, default, unit, meaning and what it decides."""

import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, cast, get_type_hints

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from nst_kernel.layers import LAYERS
from nst_kernel.params.contradictions import contradictions
from nst_kernel.params.declaration import Parameter, parameter
from nst_kernel.params.derived import Derived
from nst_kernel.params.graph import Graph
from nst_kernel.params.messages import raising_param_error
from nst_kernel.params.names import ALIASES, by_name
from nst_kernel.params.presets import PRESETS, preset_values
from nst_kernel.params.rules import (
    INITS,
    Ascending,
    EachOnce,
    Files,
    Listed,
    Number,
    OneOf,
    OrNothing,
    ParamError,
    Problem,
    Start,
    Truth,
    Whole,
)
from nst_kernel.params.schedule import Schedule, schedule_of

_Layers = Annotated[tuple[Annotated[str, OneOf(LAYERS)], ...], Listed, EachOnce]
_Weights = Annotated[tuple[Annotated[Number, Field(ge=0, allow_inf_nan=False)], ...], Listed]
_LAYERS = "VGG-19 layers such as conv4_2, each at most once, comma-separated"
_WEIGHTS = "finite numbers of at least 0, one per layer, comma-separated"
_FILES: dict[str, Any] = {"expected": "paths or URIs of image files with | between them", "loss": True, "later": True}
_SIDE: dict[str, Any] = {"ge": 16, "le": 16384}
_SHARE: dict[str, Any] = {"ge": 0, "le": 0.5}
_WEIGHT: dict[str, Any] = {"ge": 0, "allow_inf_nan": False}


@raising_param_error(lambda: (PARAMETERS, ALIASES))
@dataclass(frozen=True, kw_only=True, slots=True, config=ConfigDict(extra="forbid"))
class StyleParams(Derived):
    """The parameters of one style transfer. Values may come as text (CSV); each is checked and converted.

    A parameter that is not given, or None, has the preset's value, else its default. A new parameter is one field here;
    README, command line, JSON Schema and messages follow (`PARAMETERS`).

    Raises:
        ParamError: with every unusable value at once.
    """

    preset: Annotated[str, OneOf(tuple(PRESETS))] = parameter("default", "where unset parameters take values from")
    size: Whole = parameter(512, "long side of the output", unit="pixels", **_SIDE)
    upscale: Truth = parameter(False, "whether the output may be larger than its content picture")
    aspect_tolerance: Number = parameter(
        0.01,
        "how far an aspect ratio may move so that pictures share a shape, and a batch; 0: not at all",
        **_SHARE,
    )
    tileable: Truth = parameter(
        False,
        "whether outputs can be put side by side without a seam: they go on at their other side, and their sides are "
        "multiples of 16 px",
        graph=True,
        loss=True,
        later=True,
    )
    iterations: Annotated[tuple[Annotated[Whole, Field(ge=1, le=100_000)], ...], Listed] = parameter(
        (150,),
        "loss evaluations at each scale: one number for all, or one for each of `scales` and one for the output; with "
        "scales=sqrt2 one for all, or one for the first scale and one for each after it",
        unit="evaluations",
        expected="whole numbers from 1 to 100000, comma-separated",
        min_length=1,
        graph=True,
    )
    scales: Literal["sqrt2"] | Annotated[tuple[Annotated[Whole, Field(**_SIDE)], ...], Listed, Ascending] = parameter(
        (256, 512, 1024, 2048),
        "coarser long sides to pass through first; those above three quarters of the output's are left out; sqrt2: "
        "that of the output divided by √2 again and again, down to `min_scale`",
        unit="pixels",
        expected="ascending long sides in pixels, comma-separated, or sqrt2",
        graph=True,
    )
    min_scale: Whole = parameter(
        128,
        "least long side that scales=sqrt2 passes through",
        unit="pixels",
        graph="scales == sqrt2",
        later=True,
        **_SIDE,
    )
    min_improvement: Number = parameter(
        0.01,
        "a scale ends before `iterations` once the loss fell by less than this share within `window`; 0: never",
        **_SHARE,
    )
    window: Whole = parameter(
        20,
        "number of evaluations over which the loss must fall by `min_improvement`",
        unit="evaluations",
        ge=1,
        le=100_000,
        graph="min_improvement > 0",
    )
    content_weight: Number = parameter(0.2, "weight of the content loss, alpha of eq. 7", loss=True, **_WEIGHT)
    style_weight: Number = parameter(1.0, "weight of the style loss, beta of eq. 7", loss=True, **_WEIGHT)
    tv_weight: Number = parameter(0.5, "weight of total variation (smoothness); not in the paper", loss=True, **_WEIGHT)
    tv_form: Literal["mean", "sum", "nine_point"] = parameter(
        "mean",
        "mean: mean squares of differences of neighbours; sum: half the sum of squares of differences to the right and "
        "down; nine_point: mean squares of differences to all eight neighbours",
        loss=True,
        later=True,
    )
    range_weight: Number = parameter(
        0.0, "weight of a penalty on values outside [0, 1]; not in the paper", loss=True, **_WEIGHT
    )
    laplacian_weight: Number = parameter(
        0.0,
        "weight of the difference to the content in Laplacians, which keeps edges and faces; not in the paper",
        loss=True,
        later=True,
        **_WEIGHT,
    )
    laplacian_pools: Annotated[tuple[Annotated[Whole, Field(ge=1, le=16)], ...], Listed, Ascending] = parameter(
        (4,),
        "sides of the squares that pixels are averaged over before Laplacians are taken, which are then added up",
        unit="pixels",
        expected="ascending whole numbers from 1 to 16, comma-separated",
        min_length=1,
        loss=True,
        later=True,
    )
    content_layers: _Layers = parameter(
        ("conv4_2",), "layers of the content loss", expected=_LAYERS, graph="content_weight > 0", loss=True
    )
    style_layers: _Layers = parameter(
        ("conv1_1", "conv2_1", "conv3_1", "conv4_1"),
        "layers of the style loss",
        expected=_LAYERS,
        graph="style_weight > 0",
        loss=True,
    )
    layer_weights: _Weights = parameter(
        (),
        "w_l of eq. 5, one per style layer; divided by their sum if objective=relative; none: equal, sum 1, or 1 each "
        "if objective=mean",
        expected=_WEIGHTS,
        loss=True,
    )
    content_layer_weights: _Weights = parameter(
        (),
        "weights of the content layers, one per layer; divided by their sum if objective=relative; none: equal, sum 1, "
        "or 1 each if objective=mean",
        expected=_WEIGHTS,
        loss=True,
    )
    style_blend_weights: _Weights = parameter(
        (),
        "shares of several styles, one for each in their order; divided by their sum; none: equal",
        expected="finite numbers of at least 0, one per style, comma-separated",
        loss=True,
        later=True,
    )
    style_scale: Annotated[tuple[Annotated[Number, Field(gt=0, le=16)], ...], Listed] = parameter(
        (1.0,),
        "long side of a style over that of the output, by which strokes grow: one number, or one per style",
        expected="numbers above 0 and up to 16, one for all styles or one per style, comma-separated",
        min_length=1,
        loss=True,
        later=True,
    )
    style_upscale: Truth = parameter(
        False, "whether a style may be enlarged beyond its own pixels, as `upscale` lets the output be", later=True
    )
    objective: Literal["paper", "relative", "mean"] = parameter(
        "relative",
        "paper: sums as in eq. 1 and 4; relative: each term over its target's own, the same at any size; mean: mean "
        "squares of features, and of Gram matrices over N and M, as most programs have them",
        graph=True,
        loss=True,
    )
    statistics: Literal["gram", "covariance", "w2"] = parameter(
        "gram",
        "what the style loss compares of features: gram: Gram matrices; covariance: means and covariances; w2: the "
        "2-Wasserstein distance between normal distributions with these",
        graph="style_weight > 0",
        loss=True,
        later=True,
    )
    content_mask: Files = parameter(
        "",
        "regions of the content: a picture of labels, each flat colour a region; or a grey picture for each region",
        **_FILES,
        graph="given",
    )
    style_mask: Files = parameter(
        "",
        "regions of the styles: a picture of labels for each; or of a single style a grey picture for each",
        **_FILES,
    )
    mask_mode: Literal["simple", "inside"] = parameter(
        "simple",
        "features that count for a region: simple: all at its positions; inside: those that see nothing else",
        loss=True,
        later=True,
    )
    transparency: Literal["white", "keep"] = parameter(
        "white",
        "transparent parts of pictures; white: they are laid on white; keep: those of the content are kept, and those "
        "of styles do not count",
        graph=True,
        loss=True,
        later=True,
    )
    pooling: Literal["avg", "max"] = parameter("avg", "pooling between VGG's blocks", graph=True, loss=True)
    preserve_color: Literal["none", "luminance", "match", "transport", "luminance_after"] = parameter(
        "none",
        "how the content's colours are kept; luminance: light alone is transferred; luminance_after: light alone is "
        "taken from the result; match, transport: styles get the mean and covariance of the content's colours before, "
        "with transport by the least change",
        loss=True,
        later=True,
    )
    style_color: Literal["none", "match", "transport"] = parameter(
        "none", "how the content first gets the styles' colours, as in `preserve_color`", loss=True, later=True
    )
    precision: Literal["auto", "fp32", "tf32", "bf16"] = parameter(
        "auto",
        "precision of the convolutions; auto: bf16 where the device is faster in it",
        graph=True,
    )
    optimizer: Literal["lbfgs", "adam"] = parameter("lbfgs", "optimiser of the pixels", graph=True)
    learning_rate: Annotated[Annotated[Number, Field(gt=0, allow_inf_nan=False)] | None, OrNothing] = parameter(
        None,
        "step of the optimiser; none: 1 for L-BFGS, 0.02 for Adam, which takes at most 1",
        expected="a finite number above 0, or nothing",
    )
    adam_beta2: Number = parameter(
        0.999, "share of the past in the squares of gradients that Adam averages", ge=0, le=0.9999, later=True
    )
    clamp: Truth = parameter(
        False,
        "whether pixels are clamped to [0, 1] before the first step of a scale and after each; Adam alone",
        later=True,
    )
    history: Whole = parameter(
        10,
        "number of steps that L-BFGS remembers (24 bytes per pixel each)",
        unit="steps",
        ge=1,
        le=200,
        graph="optimizer == lbfgs",
    )
    learn_curvature: Truth = parameter(
        True,
        "whether L-BFGS learns how far the picture gives way by colour, frequency and place",
        graph="optimizer == lbfgs",
    )
    averaging: Number = parameter(
        0.0,
        "decay of a running average of the iterates, which is then the result in the place of the best iterate; Adam "
        "alone; 0: no average",
        ge=0,
        le=0.999,
        later=True,
    )
    init: Start = parameter(
        "content",
        "where the pixels start",
        expected="content, noise, style, grey, or the path or URI of an image file",
        words=INITS,
    )
    init_noise: Number = parameter(
        0.0, "share of white noise in the pixels at the start, where they start from a picture", ge=0, le=1, later=True
    )
    seed: Whole = parameter(0, "seed of the white noise", ge=0, le=2**63 - 1)
    save_every: Whole = parameter(
        0,
        "evaluations between two pictures on the way that are kept beside the result, which is the last; 0: none is",
        unit="evaluations",
        ge=0,
        le=100_000,
        later=True,
        accompanies=True,
    )
    animation: Literal["none", "webp", "gif"] = parameter(
        "none",
        "the file that shows the pictures on the way one after the other, at even steps of the loss's logarithm",
        later=True,
        accompanies=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, given: Any) -> Any:
        """Return the values that are given, and the preset's in the place of others."""
        if not isinstance(given, Mapping):
            return given
        values = {name: value for name, value in given.items() if value is not None}
        return {**preset_values(values.get("preset")), **values}

    def __post_init__(self) -> None:
        """Refuse values that contradict each other.

        Raises:
            ParamError: with every contradiction.
        """
        if problems := contradictions(self):
            raise ParamError(problems)

    @classmethod
    def of(cls, values: Mapping[str, object], *, defaults: Mapping[str, object] | None = None) -> Self:
        """Return the parameters that are given by name; what `values` leave open is as `defaults` say.

        A preset that `values` name outranks the defaults: a row that asks for `gatys2015` gets the paper's weights.
        `alpha` and `beta` are accepted for `content_weight` and `style_weight`, as the paper calls them. A parameter of
        value None counts as not given.

        Raises:
            ParamError: with every unusable or unknown name at once.
        """
        given, below = by_name(values), by_name(defaults or {})
        if "preset" in given:
            below = {name: value for name, value in below.items() if name not in preset_values(given["preset"])}
        return cls(**cast(Any, {**below, **given}))

    def to_json(self) -> dict[str, object]:
        """Return parameters by name, as JSON types, from which `StyleParams.of` makes equal parameters.

        They are all but those that are declared as `later` and have their defaults, unless the preset has another one:
        what derives from the JSON of an earlier version stays as it is.
        """
        preset = preset_values(self.preset)
        left_out = {name: value for name, value in later_defaults().items() if name not in preset}
        values = self.all_values().items()
        return {name: value for name, value in values if name not in left_out or value != left_out[name]}

    def all_values(self) -> dict[str, object]:
        """Return every parameter by name, as JSON types."""
        parameters = ((name, getattr(self, name)) for name in PARAMETERS)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in parameters}

    def reseeded(self, seed: object) -> Self:
        """Return these parameters with another seed, without checking the others again: none depends on the seed.

        Raises:
            ParamError: if the seed cannot be used.
        """
        checked = PARAMETERS["seed"].parse(seed)
        if isinstance(checked, Problem):
            raise ParamError([checked])
        twin = object.__new__(type(self))
        for name in PARAMETERS:
            object.__setattr__(twin, name, getattr(self, name))
        object.__setattr__(twin, "seed", checked)
        return twin

    def schedule(self, size: int) -> Schedule:
        """Return (long side in pixels, loss evaluations) of each scale of an output, coarse to fine.

        Args:
            size: long side of the output, pixels.
        """
        return schedule_of(size, self.iterations, self.scales, self.min_scale)

    @property
    def graph(self) -> tuple[object, ...]:
        """What must be equal for two samples to share a batch, besides their shape; the rest is per sample.

        It has a value for each parameter whose declaration says `graph`, in their order; an empty or zero one where the
        condition in that declaration does not hold.
        """
        return _graph(self)


_TYPES = get_type_hints(StyleParams, include_extras=True)
PARAMETERS: Mapping[str, Parameter] = types.MappingProxyType(
    {field.name: Parameter.of(field, _TYPES[field.name]) for field in dataclasses.fields(cast(Any, StyleParams))}
)
"""Every parameter by its name, in the order of their declaration."""


@functools.cache
def later_defaults() -> Mapping[str, object]:
    """Return the defaults of the parameters that are declared as `later`, by name, as JSON types."""
    later = ((name, each.default) for name, each in PARAMETERS.items() if each.later)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in later}


_graph = Graph(PARAMETERS)
