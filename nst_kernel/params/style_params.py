"""Every parameter of a style transfer, validated, immutable, JSON in and out; presets as data with their source."""

import dataclasses
import difflib
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, cast

from nst_kernel.params.presets import PRESETS
from nst_kernel.params.rules import (
    _SEED,
    ParamError,
    Problem,
    _init,
    _integer,
    _layers,
    _many,
    _one_of,
    _optional,
    _real,
    _Rule,
    _share,
    _truth,
    _weights,
)
from nst_kernel.pictures import MIN_SIDE


def _parameter(default: Any, rule: _Rule, doc: str) -> Any:
    """A field whose value, where none is given, is the preset's, else `default`."""
    return dataclasses.field(default=None, metadata={"default": default, "rule": rule, "doc": doc})


@dataclass(frozen=True, kw_only=True, slots=True)
class StyleParams:
    """What is asked of one style transfer. Values may come as strings (CSV); each is checked and converted.

    What is not given, or None, is as the preset says.

    Raises:
        ParamError: with every unusable value at once.
    """

    preset: str = _parameter(
        "default",
        _one_of("default", "gatys2015", "texture", "reconstruction"),
        "where unset parameters take values from",
    )
    size: int = _parameter(512, _integer(16, 16384), "long side of the output, pixels")
    upscale: bool = _parameter(
        False,
        _truth,
        "whether the output may be larger than its content picture",
    )
    aspect_tolerance: float = _parameter(
        0.01,
        _share,
        "how far an aspect ratio may move so that pictures share a shape, and a batch; 0: not at all",
    )
    iterations: tuple[int, ...] = _parameter(
        (150,),
        _many(_integer(1, 100_000), "whole numbers from 1 to 100000, comma-separated", least=1),
        "loss evaluations at each scale: one number for all, or one for each of `scales` and one for the output",
    )
    scales: tuple[int, ...] = _parameter(
        (256, 512, 1024, 2048),
        _many(_integer(16, 16384), "ascending long sides in pixels, comma-separated", ascending=True),
        "coarser long sides to pass through first; those above three quarters of the output's are left out",
    )
    min_improvement: float = _parameter(
        0.0, _share, "a scale ends early once the loss fell by less than this share within `window`; 0: never"
    )
    window: int = _parameter(20, _integer(1, 100_000), "evaluations over which `min_improvement` is looked for")
    content_weight: float = _parameter(0.2, _real(0), "alpha of eq. 7")
    style_weight: float = _parameter(1.0, _real(0), "beta of eq. 7")
    tv_weight: float = _parameter(0.5, _real(0), "weight of total variation (smoothness); not in the paper")
    range_weight: float = _parameter(0.0, _real(0), "weight of a penalty on values outside [0, 1]; not in the paper")
    content_layers: tuple[str, ...] = _parameter(("conv4_2",), _layers, "layers of the content loss")
    style_layers: tuple[str, ...] = _parameter(
        ("conv1_1", "conv2_1", "conv3_1", "conv4_1"), _layers, "layers of the style loss"
    )
    layer_weights: tuple[float, ...] = _parameter((), _weights, "w_l of eq. 5, one per style layer; none: equal, sum 1")
    content_layer_weights: tuple[float, ...] = _parameter(
        (), _weights, "the same for content layers; none: equal, sum 1"
    )
    objective: Literal["paper", "relative"] = _parameter(
        "relative",
        _one_of("paper", "relative"),
        "paper: sums as in eq. 1 and 4; relative: each term over its target's own, the same at any size",
    )
    pooling: Literal["avg", "max"] = _parameter("avg", _one_of("avg", "max"), "pooling between VGG's blocks")
    precision: Literal["auto", "fp32", "tf32", "bf16"] = _parameter(
        "auto",
        _one_of("auto", "fp32", "tf32", "bf16"),
        "of the convolutions; auto: bf16 where the device has instructions for it",
    )
    optimizer: Literal["lbfgs", "adam"] = _parameter("lbfgs", _one_of("lbfgs", "adam"), "optimiser of the pixels")
    learning_rate: float | None = _parameter(
        None, _optional(_real(0, above=True)), "step; none: 1 for L-BFGS, 0.02 for Adam"
    )
    history: int = _parameter(10, _integer(1, 200), "steps that L-BFGS remembers (24 bytes per pixel each)")
    learn_curvature: bool = _parameter(
        True, _truth, "whether L-BFGS learns how far the picture gives way by colour, frequency and place"
    )
    init: str = _parameter("content", _init, "where the pixels start")
    seed: int = _parameter(0, _SEED, "of the white noise")

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        preset = _preset_values(self.preset)
        for field in dataclasses.fields(self):
            given = getattr(self, field.name)
            if given is None:
                given = preset.get(field.name, field.metadata["default"])
            value = field.metadata["rule"](field.name, given)
            if isinstance(value, Problem):
                problems.append(value)
            else:
                object.__setattr__(self, field.name, value)
        if problems or (problems := self._contradictions()):
            raise ParamError(problems)

    def _contradictions(self) -> list[Problem]:
        problems = []
        for weights, layers in (
            ("layer_weights", "style_layers"),
            ("content_layer_weights", "content_layers"),
        ):
            given, needed = getattr(self, weights), getattr(self, layers)
            if given and len(given) != len(needed):
                expected = f"{len(needed)} numbers, one for each of {', '.join(needed)}"
                problems.append(Problem(weights, given, expected))
        if len(self.iterations) not in (1, len(self.scales) + 1):
            expected = f"one number, or {len(self.scales) + 1}: one for each of scales {self.scales} and the output"
            problems.append(Problem("iterations", self.iterations, expected))
        for weight, layers in (("content_weight", "content_layers"), ("style_weight", "style_layers")):
            if getattr(self, weight) > 0 and not getattr(self, layers):
                problems.append(Problem(layers, (), f"at least one layer, since {weight} is not 0"))
        if self.content_weight == 0 and self.style_weight == 0:
            problems.append(Problem("style_weight", 0.0, "content_weight or style_weight above 0"))
        return problems

    @classmethod
    def of(cls, values: Mapping[str, object], *, defaults: Mapping[str, object] | None = None) -> Self:
        """The parameters given by name; what `values` leave open is as `defaults` say.

        A preset that `values` name outranks the defaults: a row that asks for `gatys2015` gets the paper's weights.
        `alpha` and `beta` are accepted for `content_weight` and `style_weight`, as the paper calls them. A parameter of
        value None counts as not given.

        Raises:
            ParamError: with every unusable or unknown name at once.
        """
        given, below = _by_name(values), _by_name(defaults or {})
        if "preset" in given:
            below = {name: value for name, value in below.items() if name not in _preset_values(given["preset"])}
        given = {**below, **given}
        unknown = [Problem(name, given[name], _a_known_name(name)) for name in given if name not in PARAMETERS]
        try:
            params = cls(**cast(Any, {name: value for name, value in given.items() if name in PARAMETERS}))
        except ParamError as error:
            raise ParamError(unknown + error.problems) from None
        if unknown:
            raise ParamError(unknown)
        return params

    def to_json(self) -> dict[str, object]:
        """Every parameter by name, as JSON types; `StyleParams.of` of it gives the same parameters."""
        parameters = ((name, getattr(self, name)) for name in PARAMETERS)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in parameters}

    def reseeded(self, seed: object) -> Self:
        """The same with another seed. Nothing depends on a seed, so that the rest need not be checked again.

        Raises:
            ParamError: for a seed that is none.
        """
        checked = _SEED("seed", seed)
        if isinstance(checked, Problem):
            raise ParamError([checked])
        twin = object.__new__(type(self))
        for name in PARAMETERS:
            object.__setattr__(twin, name, getattr(self, name))
        object.__setattr__(twin, "seed", checked)
        return twin

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer that takes part in the objective."""
        content = self.content_layers if self.content_weight > 0 else ()
        style = self.style_layers if self.style_weight > 0 else ()
        return tuple(dict.fromkeys((*content, *style)))

    @property
    def needs_content(self) -> bool:
        """Whether a content picture takes part."""
        return self.content_weight > 0 or self.init == "content"

    @property
    def needs_style(self) -> bool:
        """Whether a style picture takes part."""
        return self.style_weight > 0 or self.init == "style"

    def schedule(self, size: int) -> tuple[tuple[int, int], ...]:
        """(long side, loss evaluations) of every scale of an output whose long side is `size`, coarse to fine."""
        each = self.iterations if len(self.iterations) > 1 else self.iterations * (len(self.scales) + 1)
        coarser = [(side, n) for side, n in zip(self.scales, each, strict=False) if MIN_SIDE <= side <= 0.75 * size]
        return (*coarser, (size, each[-1]))

    @property
    def graph(self) -> tuple[object, ...]:
        """What must be equal for two samples to share a batch, beside their shape; the rest is per sample."""
        return (
            self.content_layers if self.content_weight > 0 else (),
            self.style_layers if self.style_weight > 0 else (),
            self.objective,
            self.pooling,
            self.precision,
            self.optimizer,
            self.history if self.optimizer == "lbfgs" else 0,
            self.learn_curvature if self.optimizer == "lbfgs" else False,
            self.iterations,
            self.scales,
            self.window if self.min_improvement > 0 else 0,
        )


def _a_known_name(name: str) -> str:
    close = difflib.get_close_matches(name[:80].lower(), [*PARAMETERS, *ALIASES], n=1)
    return f"a known name; did you mean {close[0]}?" if close else f"one of {', '.join(PARAMETERS)}"


def _preset_values(name: object) -> Mapping[str, object]:
    return PRESETS[name].values if isinstance(name, str) and name in PRESETS else {}


def _by_name(values: Mapping[str, object]) -> dict[str, object]:
    return {ALIASES.get(name, name): value for name, value in values.items() if value is not None}


ALIASES: Mapping[str, str] = types.MappingProxyType({"alpha": "content_weight", "beta": "style_weight"})

PARAMETERS: Mapping[str, str] = types.MappingProxyType(
    {field.name: field.metadata["doc"] for field in dataclasses.fields(StyleParams)}
)
"""Every parameter's name and what it means."""
