"""Rows that name several styles: a list, a text with | between them, a folder."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from nst_kernel import StyleParams
from pipeline.manifest import Row, derive_id, each_of
from pipeline.planning.fingerprint import fingerprint
from tests.pipeline.manifest.test_manifest import problems_of, read
from tests.support import draw


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "looks/1.png", "looks/2.JPG"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(draw(1, 16, 16)).save(tmp_path / name)
    for name in ("looks/notes.txt", "looks/.hidden.png", "looks/below/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def manifest(folder: Path, style: object, **params: object) -> Path:
    (folder / "rows.jsonl").write_text(json.dumps({"content": "a.png", "style": style, **params}))
    return folder / "rows.jsonl"


@pytest.mark.parametrize(
    "style", [["x/1.png", "s3://b/2,;.png"], "x/1.png|s3://b/2,;.png", " x/1.png | s3://b/2,;.png "]
)
def test_several_styles_are_named_in_any_form(folder: Path, style: object) -> None:
    (row,) = read(manifest(folder, style)).rows
    assert row.style == f"{folder}/x/1.png|s3://b/2,;.png"
    assert row.pictures()["style"] == (f"{folder}/x/1.png", "s3://b/2,;.png")
    assert row.uris() == [f"{folder}/a.png", f"{folder}/x/1.png", "s3://b/2,;.png"]


def test_several_styles_stand_in_a_cell_of_a_csv_file(folder: Path) -> None:
    (folder / "rows.csv").write_text('content,style,style_blend_weights\na.png,x.png|y.png,"1,3"\n')
    (row,) = read(folder / "rows.csv").rows
    assert (row.style, row.params.style_blend_weights) == (f"{folder}/x.png|{folder}/y.png", (1.0, 3.0))


def test_a_folder_stands_for_the_pictures_right_in_it(folder: Path) -> None:
    (row,) = read(manifest(folder, "looks/|b.png")).rows
    assert each_of("style", row.style) == (f"{folder}/looks/1.png", f"{folder}/looks/2.JPG", f"{folder}/b.png")


@pytest.mark.parametrize(
    ("style", "why"),
    [
        ("nowhere/", "expected a folder of style pictures: cannot list .*nowhere.*does not exist"),
        ("looks/below/empty/", "expected a folder of style pictures: .*has no picture"),
        (["a|b.png"], r"column style: .*'a\|b.png' has a |, which stands between styles"),
        ([1], "column style: .*or several, as a list"),
    ],
)
def test_styles_that_are_not_there_are_named(folder: Path, style: object, why: str) -> None:
    (folder / "looks" / "below" / "empty").mkdir()
    (problem,) = problems_of(manifest(folder, style))
    assert re.search(why, problem), problem


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"style_blend_weights": [1, 2, 3]}, "column style_blend_weights: [1.0, 2.0, 3.0]: expected 2 numbers"),
        ({"style_scale": "1,2,3"}, "column style_scale: [1.0, 2.0, 3.0]: expected one number, or 2 numbers"),
    ],
)
def test_lists_fit_the_number_of_styles(folder: Path, params: dict[str, object], why: str) -> None:
    (problem,) = problems_of(manifest(folder, ["x.png", "y.png"], **params))
    assert why in problem


def row(style: str, **params: object) -> Row:
    return Row("id", "/c.png", style, "out.png", StyleParams.of(params), "rows.csv", 1)


def test_what_decides_a_picture_decides_its_id() -> None:
    asked = [
        row("/a.png|/b.png"),
        row("/b.png|/a.png"),
        row("/a.png"),
        row("/a.png|/b.png", style_blend_weights="1,2"),
        row("/a.png|/b.png", style_scale=2),
        row("/a.png|/b.png", style_upscale=True),
    ]
    assert len({derive_id(each.content, each.style, each.params, "e") for each in asked}) == len(asked)
    signed = "https://h/a.png?X-Amz-Signature=1|/b.png"
    assert derive_id("/c.png", signed, asked[0].params, "e") == derive_id(
        "/c.png", signed.replace("=1", "=2"), asked[0].params, "e"
    )


def test_a_changed_second_style_is_done_again() -> None:
    known = {"/c.png": "1", "/a.png": "2", "/b.png": "3"}
    before = fingerprint(row("/a.png|/b.png"), "e", known)
    assert fingerprint(row("/a.png|/b.png"), "e", known) == before
    assert fingerprint(row("/a.png|/b.png"), "e", {**known, "/b.png": "4"}) != before


def test_the_heaviest_style_decides_the_shape_of_a_texture() -> None:
    assert row("/a.png|/b.png", style_blend_weights="1,2").deciding == "/c.png"
    texture = Row("id", None, "/a.png|/b.png", "o.png", StyleParams.of({"style_blend_weights": "1,2"}), "r.csv", 1)
    assert texture.deciding == "/b.png"
