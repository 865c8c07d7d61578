"""Grids: how many rows, which, under which names; and what is refused before anything starts."""

import itertools
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nst_kernel import StyleParams
from pipeline.grids.expand import expand
from pipeline.manifest.columns import bad_output
from pipeline.manifest.row import ManifestError, Row
from pipeline.specs import axes
from pipeline.specs.grid import GridSpec


def spec(**fields: Any) -> GridSpec:
    return GridSpec.model_validate({"contents": ["c.jpg"], "styles": ["s.jpg"], **fields})


def rows(**fields: Any) -> list[Row]:
    return expand(spec(**fields)).rows


WEIGHTS = st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True)
GRID = st.fixed_dictionaries(
    {
        "contents": st.lists(st.sampled_from(["a.jpg", "b.jpg", "x/c.png"]), min_size=1, unique=True),
        "styles": st.lists(st.sampled_from(["s.jpg", "t.jpg"]), min_size=1, unique=True),
        "parameters": st.fixed_dictionaries(
            {},
            optional={
                "size": st.lists(st.sampled_from([64, 96, 128]), min_size=1, unique=True),
                "style_weight": WEIGHTS,
                "tv_weight": st.builds(
                    lambda low, n: {"linspace": [low, low + 1, n]},
                    st.just(0.0) | st.floats(1e-30, 5),
                    st.integers(1, 5),
                ),
                "optimizer": st.sampled_from(["adam", ["adam", "lbfgs"]]),
                "style_layers": st.just(["conv1_1", ["conv1_1", "conv2_1"], "conv2_1,conv3_1"]),
            },
        ),
    }
)


def count(value: object) -> int:
    if isinstance(value, dict):
        return int(value["linspace"][2])
    return len(value) if isinstance(value, list) else 1


@given(GRID)
def test_rows_are_the_product(fields: dict[str, Any]) -> None:
    found = expand(GridSpec.model_validate(fields))
    expected = len(fields["contents"]) * len(fields["styles"])
    for value in fields["parameters"].values():
        expected *= count(value)
    assert len(found.rows) == found.combinations == expected
    assert len({row.id for row in found.rows}) == len({row.output for row in found.rows}) == expected
    assert all(list(bad_output(row.output)) == [] for row in found.rows)
    asked = {(row.content, row.style, repr(row.params)) for row in found.rows}
    assert len(asked) == expected


@given(GRID, st.sampled_from([64, 96, 128]), st.integers(1, 50))
def test_what_is_excluded_is_what_fits(fields: dict[str, Any], size: int, least: int) -> None:
    whole = expand(GridSpec.model_validate(fields)).rows
    conditions = [
        {"size": size, "style_weight": {"min": least}},
        {"style": "t", "optimizer": ["adam"], "tv_weight": {"min": 1, "max": 2}},
        {"content": "[ab]", "style_layers": ["conv2_1,conv3_1"]},
    ]

    def out(row: Row) -> bool:
        p = row.params
        return (
            (p.size == size and p.style_weight >= least)
            or (
                row.style is not None
                and row.style.endswith("t.jpg")
                and p.optimizer == "adam"
                and 1 <= p.tv_weight <= 2
            )
            or (row.content is not None and "c.png" not in row.content and p.style_layers == ("conv2_1", "conv3_1"))
        )

    left = {row.id for row in whole if not out(row)}
    asked = GridSpec.model_validate({**fields, "exclude": conditions})
    if not left:
        with pytest.raises(ManifestError, match="leave out all"):
            expand(asked)
        return
    found = expand(asked)
    assert {row.id for row in found.rows} == left
    assert sum(found.excluded) == len(whole) - len(left)


@given(GRID, GRID)
def test_the_same_combination_has_the_same_name_whatever_else_there_is(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    shared = one["parameters"].keys() & other["parameters"].keys()
    grids = []
    for fields in (one, other):
        parameters = {name: fields["parameters"][name] for name in sorted(shared, reverse=True)}
        grids.append(expand(GridSpec.model_validate({**fields, "parameters": parameters})).rows)
    names = [{(row.content, row.style, repr(row.params)): (row.id, row.output) for row in rows} for rows in grids]
    for meaning in names[0].keys() & names[1].keys():
        assert names[0][meaning] == names[1][meaning]


def test_names_do_not_depend_on_spelling_or_place_or_defaults() -> None:
    one = expand(spec(parameters={"size": ["64"], "beta": [2]}), defaults={"iterations": 5}).rows
    other = expand(
        spec(contents={"c": "/elsewhere/photo.jpg"}, parameters={"style_weight": {"linspace": [2, 3, 2]}, "size": 64})
    ).rows
    assert (one[0].id, one[0].output) == (other[0].id, other[0].output)
    assert one[0].output == f"c/s/size=64,style_weight=2-{one[0].id}.png"


@given(st.integers(1, 40), st.integers(0, 9), st.floats(0, 3), st.floats(0.1, 5))
def test_a_latin_hypercube_hits_each_stratum_once(count: int, seed: int, low: float, span: float) -> None:
    drawn = rows(
        parameters={
            "tv_weight": {"uniform": [low, low + span]},
            "learning_rate": {"loguniform": [1e-3, 1.0]},
            "pooling": {"choice": ["avg", "max"]},
        },
        samples={"count": count, "seed": seed},
    )
    assert len(drawn) == count
    evenly = np.array([(row.params.tv_weight - low) / span for row in drawn])
    powers = np.array([1 + np.log10(row.params.learning_rate or 0) / 3 for row in drawn])
    for shares in (evenly, powers):
        strata = np.floor(np.clip(shares * count + 1e-9, 0, count - 0.5)).astype(int)
        assert sorted(strata) == list(range(count))
    assert abs(sum(row.params.pooling == "avg" for row in drawn) - count / 2) < 1


def test_draws_have_a_stream_for_each_parameter() -> None:
    def drawn(parameters: dict[str, Any], **samples: Any) -> list[StyleParams]:
        return [row.params for row in rows(parameters=parameters, samples={"count": 6, "seed": 3, **samples})]

    weight = {"style_weight": {"uniform": [1, 5]}}
    alone = [params.style_weight for params in drawn(weight)]
    assert [p.style_weight for p in drawn({"tv_weight": {"uniform": [0, 1]}, **weight})] == alone
    assert [p.style_weight for p in drawn(weight, seed=4)] != alone
    few, many = (drawn(weight, method="random", count=count) for count in (4, 9))
    assert many[:4] == few
    assert all(1 <= params.style_weight < 5 for params in many)


def test_each_draw_meets_every_picture_and_value() -> None:
    found = rows(
        contents=["a.jpg", "b.jpg"],
        parameters={"size": [64, 96], "tv_weight": {"uniform": [0, 1]}},
        samples={"count": 5},
    )
    assert len(found) == 2 * 2 * 5
    draws = {
        key: [row.params.tv_weight for row in group]
        for key, group in itertools.groupby(found, key=lambda row: (row.content, row.params.size))
    }
    assert len({tuple(values) for values in draws.values()}) == 1


def test_draws_that_repeat_are_computed_once() -> None:
    found = expand(spec(parameters={"pooling": {"choice": ["avg", "max"]}}, samples={"count": 10}))
    assert (len(found.rows), found.repeated, found.combinations) == (2, 8, 10)


def test_whole_parameters_are_rounded_and_floats_are_what_a_person_writes() -> None:
    found = rows(parameters={"size": {"linspace": [64, 96, 4]}, "tv_weight": {"linspace": [0, 0.3, 4]}})
    assert sorted({row.params.size for row in found}) == [64, 75, 85, 96]
    assert sorted({row.params.tv_weight for row in found}) == [0.0, 0.1, 0.2, 0.3]
    spaced = rows(parameters={"style_weight": {"logspace": ["1e-2", 100, 5]}})
    assert [row.params.style_weight for row in spaced] == [0.01, 0.1, 1.0, 10.0, 100.0]


def test_presets_outrank_defaults() -> None:
    found = expand(spec(parameters={"preset": ["default", "gatys2015"]}), defaults={"style_weight": 7, "size": 64}).rows
    assert [(row.params.style_weight, row.params.size) for row in found] == [(7.0, 64), (1000.0, 64)]


def test_textures_need_no_contents() -> None:
    (row,) = expand(GridSpec.model_validate({"styles": ["s.jpg"], "parameters": {"preset": "texture"}})).rows
    assert row.content is None
    assert row.output.startswith("texture/s/preset=texture-")


@pytest.mark.parametrize(
    ("parameters", "loc", "said"),
    [
        ({"sise": 3}, ("sise",), "did you mean size?"),
        ({"size": [64, "big"]}, ("size", 1), "a whole number from 16"),
        ({"size": 3}, ("size",), "a whole number from 16"),
        ({"size": [64, 64.0]}, ("size", 1), "each value once"),
        ({"size": []}, ("size",), "at least one value"),
        ({"beta": 1, "style_weight": 2}, ("style_weight",), "style_weight once"),
        ({"tv_weight": {"linspce": [0, 1, 2]}}, ("tv_weight", "linspce"), "did you mean linspace?"),
        ({"tv_weight": {"linspace": [0, 1]}}, ("tv_weight", "linspace"), "[from, to, how many]"),
        ({"tv_weight": {"linspace": [0, 1, 2.5]}}, ("tv_weight", "linspace", 2), "a whole number of values"),
        ({"tv_weight": {"linspace": [-1, 1, 3]}}, ("tv_weight", "linspace"), "a finite number of at least 0"),
        ({"tv_weight": {"linspace": [0, "x", 3]}}, ("tv_weight", "linspace"), "such as linspace: [0.5, 2, 4]"),
        ({"tv_weight": {"logspace": [0, 1, 3]}}, ("tv_weight", "logspace"), "above 0"),
        ({"tv_weight": {"uniform": [-2, 1]}}, ("tv_weight", "uniform", 0), "at least 0"),
        ({"tv_weight": {"uniform": [2, 1]}}, ("tv_weight", "uniform"), "the smaller end first"),
        ({"tv_weight": {"uniform": [0, float("inf")]}}, ("tv_weight", "uniform"), "[from, to]"),
        ({"pooling": {"choice": ["avg", "mix"]}}, ("pooling", "choice", 1), "avg or max"),
        ({"pooling": {"choice": ["avg"], "uniform": [0, 1]}}, ("pooling",), "one of linspace"),
    ],
)
def test_parameters_are_held_against_their_rules(
    parameters: dict[str, object], loc: tuple[str | int, ...], said: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(parameters=parameters, samples={"count": 2})
    (problem,) = [each for each in caught.value.errors() if each["loc"] == ("parameters", *loc)]
    assert said in problem["msg"]


@pytest.mark.parametrize(
    ("condition", "loc", "said"),
    [
        ({"sice": 1}, ("sice",), "did you mean size?"),
        ({"contents": "a"}, ("contents",), "did you mean content?"),
        ({"size": "big"}, ("size",), "a whole number"),
        ({"size": [64, 1]}, ("size", 1), "a whole number"),
        ({"size": {"least": 3}}, ("size", "least"), "one of min, max"),
        ({"size": {"min": 5, "max": 2}}, ("size",), "the smaller first"),
        ({"size": {"min": "x"}}, ("size", "min"), "a number"),
        ({"size": {}}, ("size",), "min and max"),
        ({}, (), "at least one parameter"),
    ],
)
def test_conditions_are_held_against_the_rules(
    condition: dict[str, object], loc: tuple[str | int, ...], said: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(exclude=[{"size": 64}, condition])
    (problem,) = caught.value.errors()
    assert problem["loc"] == ("exclude", 1, *loc)
    assert said in problem["msg"]


def test_chance_needs_a_count_and_a_count_needs_chance() -> None:
    with pytest.raises(ValidationError, match="how often tv_weight"):
        spec(parameters={"tv_weight": {"uniform": [0, 1]}})
    with pytest.raises(ValidationError, match="left to chance"):
        spec(samples={"count": 3})
    with pytest.raises(ValidationError, match="pictures"):
        GridSpec.model_validate({})


def test_a_combination_that_contradicts_itself_is_named_unless_it_is_left_out() -> None:
    parameters = {"style_layers": ["conv1_1", "conv1_1,conv2_1"], "layer_weights": ["1", "1,2"]}
    with pytest.raises(ManifestError) as caught:
        rows(parameters=parameters)
    assert len(caught.value.problems) == 2
    assert "style_layers=conv1_1,layer_weights=1+2" in str(caught.value)
    crossed = [
        {"style_layers": ["conv1_1"], "layer_weights": ["1,2"]},
        {"style_layers": ["conv1_1,conv2_1"], "layer_weights": ["1"]},
    ]
    assert len(rows(parameters=parameters, exclude=crossed)) == 2


def test_pictures_that_are_needed_are_asked_for() -> None:
    with pytest.raises(ManifestError, match="both contents and styles"):
        expand(GridSpec.model_validate({"styles": ["s.jpg"], "parameters": {"size": [64]}}))


def test_a_grid_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("pipeline.grids.expand"), "MAX_ROWS", 5)
    with pytest.raises(ManifestError, match="at most 5 combinations, these are 6"):
        rows(parameters={"size": [64, 65, 66], "seed": [1, 2]})


@given(st.integers(1, 30), st.integers(0, 5), st.sampled_from(["random", "latin-hypercube"]))
def test_shares_are_shares(count: int, seed: int, method: str) -> None:
    found = axes.shares("size", count, method=method, seed=seed)
    assert found.shape == (count,)
    assert ((found >= 0) & (found < 1)).all()
