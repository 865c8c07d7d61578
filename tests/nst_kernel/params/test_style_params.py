import dataclasses
import json
import math
from typing import Any, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nst_kernel import LAYERS, PARAMETERS, PRESETS, ParamError, StyleParams
from nst_kernel.params.rules import Problem


def a_few(layers: st.SearchStrategy[list[str]]) -> st.SearchStrategy[tuple[list[str], list[float]]]:
    """Layers, with a weight for each or none at all."""
    weight = st.floats(0, 1e6, allow_subnormal=False).map(lambda value: value if value > 1e-30 else 0.0)
    return layers.flatmap(
        lambda names: st.tuples(
            st.just(names), st.just([]) | st.lists(weight, min_size=len(names), max_size=len(names)).filter(any)
        )
    )


WEIGHT = st.just(0.0) | st.floats(1e-30, 1e12)
layer_lists = st.lists(st.sampled_from(LAYERS), min_size=1, unique=True)
parameters: dict[str, st.SearchStrategy[Any]] = {
    "preset": st.sampled_from(sorted(PRESETS)),
    "size": st.integers(16, 16384),
    "upscale": st.booleans(),
    "tileable": st.booleans(),
    "aspect_tolerance": st.floats(0, 0.5),
    "iterations": st.integers(1, 100_000).map(lambda n: [n]),
    "min_improvement": st.floats(0, 0.5),
    "window": st.integers(1, 100_000),
    "scales": st.lists(st.integers(16, 16384), unique=True).map(sorted) | st.just("sqrt2"),
    "min_scale": st.integers(16, 16384),
    "content_weight": WEIGHT,
    "style_weight": WEIGHT,
    "tv_weight": WEIGHT,
    "range_weight": WEIGHT,
    "objective": st.sampled_from(["paper", "relative", "mean"]),
    "statistics": st.sampled_from(["gram", "covariance", "w2"]),
    "pooling": st.sampled_from(["avg", "max"]),
    "precision": st.sampled_from(["auto", "fp32", "tf32", "bf16"]),
    "optimizer": st.sampled_from(["lbfgs", "adam"]),
    "learning_rate": st.none() | st.floats(1e-9, 1),
    "history": st.integers(1, 200),
    "averaging": st.floats(0, 0.999),
    "init": st.sampled_from(["content", "noise", "style", "s3://bucket/a, b.png"]),
    "seed": st.integers(0, 2**63 - 1),
}


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Some of the parameters, with good values."""
    request = draw(st.fixed_dictionaries({}, optional=parameters))
    for layers, weights in (("style_layers", "layer_weights"), ("content_layers", "content_layer_weights")):
        if draw(st.booleans()):
            request[layers], request[weights] = draw(a_few(layer_lists))
    if "scales" in request:  # a preset may have an iteration count for each of its own
        request.setdefault("iterations", [7])
    base: dict[str, Any] = {"content_weight": 1, "style_weight": 1, **PRESETS[request.get("preset", "default")].values}
    merged = {**base, **request}
    assume(merged["content_weight"] > 0 or merged["style_weight"] > 0)
    if merged.get("optimizer") != "adam":
        request |= {"clamp": False, "averaging": 0.0}  # which a preset may have
    return request


@given(requests())
def test_through_json_and_back(request: dict[str, Any]) -> None:
    params = StyleParams.of(request)
    written = json.loads(json.dumps(params.to_json(), allow_nan=False))
    assert set(params.all_values()) == set(PARAMETERS) >= set(written)
    assert StyleParams.of(written) == params
    assert hash(StyleParams.of(written)) == hash(params)


@given(requests())
def test_values_are_kept_and_the_rest_is_the_presets(request: dict[str, Any]) -> None:
    params = StyleParams.of(request)
    preset = PRESETS[request.get("preset", "default")].values
    by_default = {name: declared.default for name, declared in PARAMETERS.items()}
    given_values = {parameter: value for parameter, value in request.items() if value is not None}
    expected = {**by_default, **preset, **given_values}
    for parameter, value in expected.items():
        assert getattr(params, parameter) == (tuple(value) if isinstance(value, list) else value)


def as_csv(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@given(requests())
def test_strings_mean_what_they_say(request: dict[str, Any]) -> None:
    strings = {parameter: as_csv(value) for parameter, value in request.items() if value is not None}
    assert StyleParams.of(strings) == StyleParams.of(request)


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        ("style_layers", "conv1_1, conv2_1", ("conv1_1", "conv2_1")),
        ("content_layers", " conv4_2 ,", ("conv4_2",)),
        ("scales", "128,256", (128, 256)),
        ("scales", 128, (128,)),
        ("scales", "", ()),
        ("scales", "sqrt2", "sqrt2"),
        ("content_layer_weights", "0.25", (0.25,)),
        ("content_layer_weights", 0.25, (0.25,)),
        ("size", "256", 256),
        ("size", " 256.0 ", 256),
        ("iterations", 1e3, (1000,)),
        ("iterations", "1e3", (1000,)),
        ("iterations", "50, 40, 30, 20, 10", (50, 40, 30, 20, 10)),
        ("content_weight", "5e-2", 0.05),
        ("upscale", "True", True),
        ("upscale", "no", False),
        ("upscale", 1, True),
        ("learning_rate", "", None),
        ("learning_rate", "0.5", 0.5),
        ("init", " noise ", "noise"),
        ("seed", "9007199254740993", 9007199254740993),
        ("seed", str(2**63 - 1), 2**63 - 1),
    ],
)
def test_values_from_a_table(parameter: str, text: object, value: object) -> None:
    found = getattr(StyleParams.of({parameter: text}), parameter)
    assert found == value
    assert type(found) is type(value)


NOT_A_NUMBER = [math.nan, math.inf, -math.inf, "nan", "inf", "many", "", True, [], {}, 10**400]
NOT_A_WEIGHT = [*NOT_A_NUMBER, -1, -1e-9, "-0.5"]
NOT_AN_INTEGER = [*NOT_A_NUMBER, -1, 0.5, "1.5", "-3", 2**63, str(2**63)]
NOT_LAYERS = ["conv6_1", "relu1_1", "conv1_1 conv2_1", ["conv1_1", "conv1_1"], ["conv1_1", 3], [None], 11, True, 1.5]
NOT_WEIGHTS = ["-1", "0.5, nan", [True], [math.inf], ["a"], [[1]], -1, math.nan, True, 10**400]

BAD: dict[str, list[Any]] = {
    "save_every": [*NOT_AN_INTEGER, -1, 100_001, 1.5],
    "animation": ["apng", "", True, 1, ["gif"], "GIF "],
    "preset": ["", "Default", "gatys", 2015, True, [], {}, ("default",)],
    "size": [*NOT_AN_INTEGER, 0, 15, 16385],
    "tileable": ["maybe", "", 2, 1.0, [], [True]],
    "upscale": ["maybe", "", 2, 1.0, [], [True]],
    "learn_curvature": ["maybe", "", 2, 1.0, [], [True]],
    "aspect_tolerance": [*NOT_A_WEIGHT, 0.51, "1"],
    "iterations": [*NOT_AN_INTEGER, 0, 100_001, "5, 0", (10, 1.5)],
    "min_improvement": [*NOT_A_WEIGHT, 0.51, "1"],
    "window": [*NOT_AN_INTEGER, 0, 100_001],
    "scales": ["256, 128", [128, 128], "8", [16385], [128.5], "sqrt", [[128]], True, math.nan, 10**400],
    "min_scale": [*NOT_AN_INTEGER, 15, 16385],
    "content_weight": NOT_A_WEIGHT,
    "style_weight": NOT_A_WEIGHT,
    "tv_weight": NOT_A_WEIGHT,
    "tv_form": ["means", "", 9, True, [], {}],
    "range_weight": NOT_A_WEIGHT,
    "laplacian_weight": NOT_A_WEIGHT,
    "laplacian_pools": ["0", "17", "8, 4", [4, 4], "2.5", "wide", [[4]], True, math.nan, ""],
    "content_layers": NOT_LAYERS,
    "style_layers": NOT_LAYERS,
    "layer_weights": NOT_WEIGHTS,
    "content_layer_weights": NOT_WEIGHTS,
    "style_blend_weights": [bad for bad in NOT_WEIGHTS if bad != ""],
    "style_scale": ["0", "17", "wide", [-1], [[1]], "", [], True, math.nan],
    "style_upscale": ["maybe", "", 2, 1.0, [], [True]],
    "content_mask": [1, True, [1], ["a|b", "c"], {}],
    "style_mask": [1, True, [1], ["a|b", "c"], {}],
    "mask_mode": ["", "Simple", 1, [], {}],
    "transparency": ["", "Keep", "none", 1, True, [], {}],
    "objective": ["Paper", "", 1, True, [], {}],
    "statistics": ["Gram", "", 2, True, [], {}],
    "pooling": ["average", "", 2, True, [], {}],
    "preserve_color": ["luma", "", 1, True, [], {}],
    "style_color": ["luminance", "", 1, True, [], {}],
    "precision": ["fp16", "", 32, True, [], {}],
    "optimizer": ["sgd", "L-BFGS", "", 1, True, [], {}],
    "learning_rate": [bad for bad in NOT_A_WEIGHT if bad != ""] + [0, "0", -0.0],
    "adam_beta2": [*NOT_A_WEIGHT, 1, "0.99999"],
    "clamp": ["maybe", "", 2, 1.0, [], [True]],
    "history": [*NOT_AN_INTEGER, 0, 201],
    "averaging": [*NOT_A_WEIGHT, 0.9991, 1, "1"],
    "init": ["", "  ", "contnet", 1, True, [], {}],
    "init_noise": [-0.1, 1.1, "some", True, [], {}],
    "seed": NOT_AN_INTEGER,
}


def test_every_parameter_has_bad_values() -> None:
    assert set(BAD) == set(PARAMETERS)


@pytest.mark.parametrize("parameter", BAD)
def test_a_bad_value_is_named_with_what_was_expected(parameter: str) -> None:
    for value in BAD[parameter]:
        with pytest.raises(ParamError) as error:
            StyleParams.of({parameter: value})
        (problem,) = error.value.problems
        assert (problem.name, problem.value) == (parameter, value) or problem.value is value
        assert problem.expected
        assert str(problem) == str(error.value) == f"{parameter} = {value!r}: expected {problem.expected}"


@given(st.fixed_dictionaries({parameter: st.sampled_from(values) for parameter, values in BAD.items()}), st.data())
def test_all_problems_come_at_once(bad: dict[str, Any], data: st.DataObject) -> None:
    some = data.draw(st.lists(st.sampled_from(sorted(bad)), min_size=1, unique=True))
    with pytest.raises(ParamError) as error:
        StyleParams.of({**{parameter: bad[parameter] for parameter in some}, "sise": 1, "alpa": 2})
    names = [problem.name for problem in error.value.problems]
    assert sorted(names) == sorted([*some, "sise", "alpa"])
    assert str(error.value) == "; ".join(map(str, error.value.problems))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*PARAMETERS, "alpha", "beta", "nonsense"]), json_values, max_size=6))
def test_whatever_is_asked_is_answered(request: dict[str, Any]) -> None:
    problems: list[Problem] | None = None
    try:
        params = StyleParams.of(request)
    except ParamError as error:
        problems = error.problems
    if problems is not None:
        assert problems
        assert {problem.name for problem in problems} <= {*PARAMETERS, "nonsense"}
    else:
        assert StyleParams.of(json.loads(json.dumps(params.to_json(), allow_nan=False))) == params


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ParamError) as error:
        StyleParams.of({"contentweight": 3, "zzz": 4})
    assert error.value.problems == [
        Problem("contentweight", 3, "a known name; did you mean content_weight?"),
        Problem("zzz", 4, f"one of {', '.join(PARAMETERS)}"),
    ]


def test_what_is_nearest_decides() -> None:
    """Values, then the preset that they name, then defaults, then the preset that those name."""
    gatys = PRESETS["gatys2015"].values
    defaults = {"preset": "gatys2015", "style_weight": 5, "size": 300}
    params = StyleParams.of({"size": 200}, defaults=defaults)
    assert (params.size, params.style_weight, params.init) == (200, 5, gatys["init"])
    assert StyleParams.of({"preset": "reconstruction"}, defaults=defaults).content_weight > 0
    texture = StyleParams.of({"preset": "texture"}, defaults=defaults)
    assert (texture.content_weight, texture.style_weight) == (0, PRESETS["texture"].values["style_weight"])
    assert texture.size == 300
    assert StyleParams.of({"preset": "texture", "beta": 7}, defaults=defaults).style_weight == 7
    assert StyleParams.of({"beta": 7}, defaults=defaults).style_weight == 7
    assert StyleParams.of({"style_weight": 7}, defaults={"beta": 5}).style_weight == 7
    assert StyleParams.of({"size": None, "preset": None}, defaults=defaults) == StyleParams.of(defaults)


def test_alpha_and_beta_are_the_papers_names() -> None:
    assert StyleParams.of({"alpha": 2, "beta": "3"}) == StyleParams.of({"content_weight": 2, "style_weight": 3})
    with pytest.raises(ParamError, match=r"content_weight = 'x'"):
        StyleParams.of({"alpha": "x"})


def test_parameters_do_not_change() -> None:
    params: Any = StyleParams.of({})
    with pytest.raises(dataclasses.FrozenInstanceError):
        params.size = 3


@pytest.mark.parametrize(
    ("parameters", "content", "style"),
    [
        ({}, True, True),
        ({"preset": "texture"}, False, True),
        ({"preset": "reconstruction"}, True, False),
        ({"preset": "texture", "init": "content"}, True, True),
        ({"preset": "texture", "laplacian_weight": 1}, True, True),
        ({"preset": "reconstruction", "init": "style"}, True, True),
        ({"preset": "texture", "preserve_color": "match"}, True, True),
        ({"preset": "reconstruction", "style_color": "match"}, True, True),
    ],
)
def test_which_pictures_are_needed(parameters: dict[str, Any], content: bool, style: bool) -> None:
    params = StyleParams.of(parameters)
    assert (params.needs_content, params.needs_style) == (content, style)


def test_layers_are_those_that_take_part() -> None:
    parameters: dict[str, Any] = {"content_layers": "conv4_2, conv1_1", "style_layers": "conv1_1, conv2_1"}
    assert set(StyleParams.of(parameters).layers) == {"conv4_2", "conv1_1", "conv2_1"}
    assert set(StyleParams.of({**parameters, "alpha": 0}).layers) == {"conv1_1", "conv2_1"}
    assert set(StyleParams.of({**parameters, "beta": 0}).layers) == {"conv4_2", "conv1_1"}


SHARED: dict[str, Any] = {
    "tileable": True,
    "iterations": 7,
    "min_improvement": 0.01,
    "scales": (32, 64),
    "content_layers": ("conv1_1",),
    "style_layers": ("conv1_1", "conv2_1"),
    "objective": "paper",
    "statistics": "w2",
    "content_mask": "m.png",
    "transparency": "keep",
    "pooling": "max",
    "precision": "tf32",
    "optimizer": "adam",
    "history": 7,
    "learn_curvature": False,
}
PER_SAMPLE: dict[str, Any] = {
    "preset": "texture",
    "size": 99,
    "upscale": True,
    "aspect_tolerance": 0.1,
    "window": 7,
    "min_scale": 64,
    "content_weight": 7.0,
    "style_weight": 7.0,
    "tv_weight": 7.0,
    "range_weight": 7.0,
    "tv_form": "sum",
    "laplacian_weight": 7.0,
    "laplacian_pools": (2, 7),
    "preserve_color": "luminance",
    "style_color": "match",
    "layer_weights": (7.0,) * len(StyleParams().style_layers),
    "content_layer_weights": (7.0,) * len(StyleParams().content_layers),
    "style_blend_weights": (7.0,),
    "style_scale": (0.7,),
    "style_upscale": True,
    "style_mask": "m.png",
    "mask_mode": "inside",
    "learning_rate": 0.7,
    "adam_beta2": 0.9,
    "clamp": True,
    "averaging": 0.7,
    "init": "noise",
    "init_noise": 0.5,
    "seed": 7,
    "save_every": 7,
    "animation": "gif",
}


def test_every_parameter_is_shared_or_per_sample() -> None:
    assert {*SHARED, *PER_SAMPLE} == set(PARAMETERS)
    assert not set(SHARED) & set(PER_SAMPLE)
    assert {name for name, declared in PARAMETERS.items() if not declared.per_sample} == {
        *SHARED,
        "window",
        "min_scale",
    } - {"min_improvement"}


PLAIN, ADAM = StyleParams(min_improvement=0.0), StyleParams(optimizer="adam")
NEEDED = {"style_mask": StyleParams(content_mask="n.png"), "animation": StyleParams(save_every=10)}
ADAM_ALONE = ("averaging", "clamp")


@pytest.mark.parametrize("parameter", [*SHARED, *PER_SAMPLE])
def test_the_graph_differs_where_samples_cannot_share_a_batch(parameter: str) -> None:
    plain = ADAM if parameter in ADAM_ALONE else NEEDED.get(parameter, PLAIN)
    other = StyleParams.of({**plain.to_json(), parameter: {**SHARED, **PER_SAMPLE}[parameter]})
    assert other != plain
    assert (other.graph != plain.graph) is (parameter in SHARED)


@pytest.mark.parametrize(
    ("unused", "parameters"),
    [
        ({"content_layers": "conv1_1"}, {"content_weight": 0}),
        ({"style_layers": "conv1_1"}, {"style_weight": 0}),
        ({"statistics": "w2"}, {"style_weight": 0}),
        ({"history": 7}, {"optimizer": "adam"}),
    ],
)
def test_what_takes_no_part_does_not_change_the_graph(unused: dict[str, Any], parameters: dict[str, Any]) -> None:
    params = StyleParams.of(parameters)
    assert StyleParams.of({**parameters, **unused}).graph == params.graph
    assert params.graph != PLAIN.graph


def test_samples_with_other_thresholds_share_a_batch_but_not_with_other_windows() -> None:
    one, other, wide = (
        StyleParams.of({"min_improvement": share, "window": window})
        for share, window in ((0.01, 20), (0.02, 20), (0.01, 30))
    )
    assert one.graph == other.graph != wide.graph


@given(st.sampled_from(["default", "gatys2015", "texture"]), st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_another_seed_is_all_that_reseeding_changes(preset: str, first: int, second: int) -> None:
    params = StyleParams(preset=preset, seed=first, init="noise")
    for seed in (second, str(second)):
        assert params.reseeded(seed) == StyleParams(preset=preset, seed=second, init="noise")
    assert params.seed == first
    assert StyleParams.of(params.reseeded(second).to_json()) == params.reseeded(second)
    with pytest.raises(ParamError, match="seed"):
        params.reseeded(-1)


def test_of_masks_all_that_counts_for_a_batch_is_whether_there_are_any() -> None:
    one, other = StyleParams(content_mask="a.png"), StyleParams(content_mask=cast(Any, ["b.png", "c.png"]))
    assert other.content_mask == "b.png|c.png"
    assert one.graph == other.graph != PLAIN.graph


@pytest.mark.parametrize(
    ("values", "styles", "expected"),
    [
        ({"content_mask": "a"}, 1, None),
        ({"content_mask": "a"}, 3, None),
        ({"content_mask": "a", "style_mask": "b|c"}, 2, None),
        ({"content_mask": "a|b"}, 2, None),
        ({"content_mask": "a|b", "style_mask": "c|d"}, 1, None),
        ({"content_mask": "a", "style_mask": "b|c"}, 1, "1 picture of labels, one for each style, or none"),
        ({"content_mask": "a|b"}, 3, "3 grey pictures, one for each style, or style_mask too"),
        ({"content_mask": "a|b", "style_mask": "c|d"}, 2, "2 grey pictures of a single style"),
        ({"content_mask": "a|b", "style_mask": "c"}, 1, "2 grey pictures of a single style"),
    ],
)
def test_there_are_as_many_masks_as_styles_or_regions(
    values: dict[str, str], styles: int, expected: str | None
) -> None:
    problems = [problem.expected for problem in StyleParams.of(values).misfits(styles)]
    assert problems == [] if expected is None else len(problems) == 1 and problems[0].startswith(expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"style_mask": "a"}, "nothing without content_mask"),
        ({"content_mask": "a", "style_weight": 0}, "nothing with style_weight=0"),
    ],
)
def test_masks_without_what_they_are_for_are_refused(values: dict[str, object], expected: str) -> None:
    with pytest.raises(ParamError, match=expected):
        StyleParams.of(values)
