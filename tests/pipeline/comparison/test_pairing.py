"""Rows of two runs that mean the same find each other, although every id differs."""

import itertools
import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from nst_kernel import StyleParams
from pipeline.comparison.pairing import Pairing, paired
from pipeline.manifest.ids import derive_id

HERE, THERE = "s3://studio/one", "s3://copy/two"


def row(
    content: str, style: str = "night.png", *, base: str = HERE, id: str | None = None, line: int = 2, **given: Any
) -> dict[str, Any]:
    params = StyleParams.of(given)
    content, style = (uri if "://" in uri else f"{base}/{uri}" for uri in (content, style))
    return {
        "id": id or derive_id(content, style, params, "0" * 64),
        "content": content,
        "style": style,
        "params": json.dumps(params.to_json()),
        "manifest": f"{base}/pairs.csv",
        "manifest_row": line,
    }


def ids(pairing: Pairing) -> set[tuple[str, str]]:
    return {(old.row["id"], new.row["id"]) for old, new in pairing.pairs}


GRID = st.fixed_dictionaries(
    {
        "contents": st.integers(1, 4),
        "style_weight": st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=1, max_size=3, unique=True),
        "seed": st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True),
        "scales": st.lists(st.sampled_from(["", "32", "32,48"]), min_size=1, max_size=2, unique=True),
    }
)


def grid(shape: dict[str, Any], *, base: str, **defaults: Any) -> list[dict[str, Any]]:
    parameters = itertools.product(range(shape["contents"]), shape["style_weight"], shape["seed"], shape["scales"])
    return [
        row(
            f"{number}.jpg",
            base=base,
            line=line,
            **{**defaults, "style_weight": weight, "seed": seed, "scales": scales},
        )
        for line, (number, weight, seed, scales) in enumerate(parameters, start=2)
    ]


@given(GRID, st.sampled_from([{}, {"size": 64}, {"tv_weight": 0.1, "iterations": 7}]), st.booleans(), st.randoms())
def test_a_grid_finds_itself_after_its_defaults_and_its_place_changed(
    shape: dict[str, Any], defaults: dict[str, Any], moved: bool, random: Any
) -> None:
    before = grid(shape, base=HERE)
    after = grid(shape, base=THERE if moved else HERE, **defaults)
    expected = {(old["id"], new["id"]) for old, new in zip(before, after, strict=True)}
    random.shuffle(before)
    random.shuffle(after)
    pairing = paired(before, after)
    assert ids(pairing) == expected
    assert (pairing.only_before, pairing.only_after) == ([], [])
    assert set(pairing.varying) == {name for name in ("style_weight", "seed", "scales") if len(shape[name]) > 1}


@given(GRID, st.data())
def test_rows_that_one_run_lacks_are_found_exactly(shape: dict[str, Any], data: st.DataObject) -> None:
    rows = grid(shape, base=HERE)
    # Lines of a manifest move when others are taken out: they must not count where values decide.
    gone, new = (data.draw(st.sets(st.sampled_from(range(len(rows))))) for _ in range(2))
    for number, each in enumerate(rows):
        each["manifest_row"] = None if gone or new else number
    before = [each for number, each in enumerate(rows) if number not in new]
    after = [each for number, each in enumerate(rows) if number not in gone]
    for parameter in (
        "style_weight",
        "seed",
        "scales",
    ):  # shared by all rows of a run: a default
        values = [{str(json.loads(each["params"])[parameter]) for each in run} for run in (before, after)]
        assume(values[0] == values[1] or max(map(len, values)) != 1)
    pairing = paired(before, after)
    assert ids(pairing) == {(each["id"],) * 2 for n, each in enumerate(rows) if n not in gone | new}
    assert {each.row["id"] for each in pairing.only_before} == {rows[n]["id"] for n in gone - new}
    assert {each.row["id"] for each in pairing.only_after} == {rows[n]["id"] for n in new - gone}


def test_a_row_that_leaves_to_a_changed_default_what_others_say_is_known_by_its_line() -> None:
    before = [row("a.jpg", line=2), row("a.jpg", line=3, style_weight=3)]
    after = [row("a.jpg", line=2, style_weight=2), row("a.jpg", line=3, style_weight=3)]
    assert ids(paired(before, after)) == {(b["id"], a["id"]) for b, a in zip(before, after, strict=True)}


def test_grids_with_other_values_do_not_mix() -> None:
    before = [row("a.jpg", line=1, style_weight=1), row("a.jpg", line=2, style_weight=3)]
    after = [row("a.jpg", line=1, style_weight=3), row("a.jpg", line=2, style_weight=9)]
    pairing = paired(before, after)
    assert ids(pairing) == {(before[1]["id"], after[0]["id"])}
    assert [each.params["style_weight"] for each in (*pairing.only_before, *pairing.only_after)] == [1.0, 9.0]


def test_rows_of_one_key_meet_by_their_ids_and_else_in_their_order() -> None:
    before = [row("a.jpg", id=name) for name in ("c", "a", "b")]
    after = [row("a.jpg", id=name) for name in ("y", "b", "x")]
    assert ids(paired(before, after)) == {("b", "b"), ("a", "x"), ("c", "y")}


def test_an_id_that_somebody_gave_outlives_its_parameters() -> None:
    before = [row("a.jpg", id="calm", line=2, seed=1), row("a.jpg", id="wild", line=3, seed=2)]
    after = [row("a.jpg", id="wild", line=2, seed=4), row("a.jpg", id="calm", line=3, seed=3)]
    assert ids(paired(before, after)) == {("calm", "calm"), ("wild", "wild")}


def test_a_picture_is_known_by_its_uri_or_by_its_place_below_the_manifest() -> None:
    style = "s3://styles/night.png"
    before = [row("photos/a.jpg", style), row("s3://archive/b.jpg", style)]
    after = [row("photos/a.jpg", style, base=THERE), row("s3://archive/b.jpg", style, base=THERE)]
    pairing = paired(before, after)
    assert {tuple(old.pictures.values()) for old, _ in pairing.pairs} == {
        ("photos/a.jpg", style),
        ("s3://archive/b.jpg", style),
    }
    elsewhere = [{**after[0], "content": f"{THERE}/other/a.jpg"}]
    assert paired(before, elsewhere).pairs == []


def test_a_picture_to_start_from_is_one_too() -> None:
    before = [row("a.jpg", init=f"{HERE}/start.png"), row("a.jpg", init="noise")]
    after = [row("a.jpg", base=THERE, init=f"{THERE}/start.png"), row("a.jpg", base=THERE, init="noise")]
    pairing = paired(before, after)
    assert {old.params["init"] for old, _ in pairing.pairs} == {"start.png", "noise"}
    assert all(old.params["init"] == new.params["init"] for old, new in pairing.pairs)


def test_what_a_preset_is_called_means_nothing() -> None:
    changed: dict[str, Any] = StyleParams.of({"preset": "gatys2015"}).to_json()
    before = [row("a.jpg"), row("b.jpg", **changed)]
    changed["preset"] = "default"
    after = [row("a.jpg"), row("b.jpg", **changed)]
    pairing = paired(before, after)
    assert len(pairing.pairs) == 2
    assert "preset" not in pairing.varying


def test_rows_of_one_key_meet_in_the_order_of_their_seeds() -> None:
    """Of manifests of one name, each with one row: only the seeds of the second run are others."""
    before = [row("a.jpg", id="z", seed=1), row("a.jpg", id="y", seed=2)]
    after = [row("a.jpg", id="b", seed=3), row("a.jpg", id="c", seed=4)]
    assert ids(paired(before, after)) == {("z", "b"), ("y", "c")}
