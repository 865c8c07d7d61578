"""Pictures that results name: below images/ or none, whoever wrote the results."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import layout, storage
from pipeline.outputs import commit, find_picture, inputs_among_pictures, picture_of, provenance

OUT = "s3://bucket/out"


@pytest.mark.parametrize(
    "name",
    ["../x.png", "a/../../x.png", "/etc/x.png", "//host/x.png", "a\\b.png", "x.txt", "file:////host/x.png", ".", "..",
     "a//b.png", "s3://other/images/x.png", f"{'x' * 300}.png"],
)  # fmt: skip
def test_a_name_that_no_manifest_could_give_is_none(name: str) -> None:
    assert picture_of(OUT, {"output_name": name, "output": f"{OUT}/images/a.png"}) is None


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"output_name": "a/b.png", "output": "s3://elsewhere/images/b.png"}, "a/b.png"),
        ({"output_name": "a::b.png"}, "a::b.png"),
        ({"output_name": None, "output": f"{OUT}/images/a/images/b.png"}, "a/images/b.png"),
        ({"output": "/before/images/a.png"}, "a.png"),
    ],
)
def test_a_picture_is_where_the_output_is_now(row: dict[str, Any], name: str) -> None:
    assert picture_of(OUT, row) == f"{OUT}/images/{name}"


@pytest.mark.parametrize(
    "uri",
    ["file:////host/share/x.png", "/etc/private.png", "http://10.0.0.1/x.png", f"{OUT}/images/../x.png", "", None],
)
def test_the_uri_of_an_old_result_leads_nowhere_else(uri: str | None) -> None:
    assert picture_of(OUT, {"output_name": None, "output": uri}) is None


PARTS = st.sampled_from(["..", ".", "", "a", "images", "b.png", "::", "\\", "file:", "x.png"])


@given(st.lists(PARTS, max_size=6).map("/".join), st.booleans(), st.sampled_from(["/data/out", OUT, "memory://x/out"]))
def test_no_name_leads_outside(name: str, named: bool, output: str) -> None:
    uri = picture_of(output, {"output_name": name} if named else {"output": name})
    assert uri is None or storage.is_within(storage.Places()(uri), storage.canonical(layout.images_folder(output)))


def test_inputs_that_lie_among_the_pictures_are_known(tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    assert list(inputs_among_pictures(output)) == []
    images = Path(layout.images_folder(output))
    images.mkdir(parents=True)
    (tmp_path / "link").symlink_to(images)
    asked = {
        "a.png": ("/photos/a.jpg", f"{images}/style.png"),
        "b.png": (f"file://{images}/photo.png", "/styles/s.png"),
        "c.png": (f"{images}/a.png", "/styles/s.png"),  # what a row has written is nobody's original
        "d.png": (f"{tmp_path}/link/deep/photo.png", None),
        "e.png": (None, f"{output}/images-2/x.png"),
    }
    rows = [
        {"id": name, "content": content, "style": style, "status": "ok", "finished_at": provenance.now()}
        | {"output_name": name}
        for name, (content, style) in asked.items()
    ]
    commit(output, rows)
    places = storage.Places()
    assert sorted(places(uri).rpartition("/images/")[2] for uri in inputs_among_pictures(output)) == [
        "deep/photo.png",
        "photo.png",
        "style.png",
    ]


@pytest.mark.parametrize("linked", [False, True], ids=["folder", "linked folder"])
def test_links_are_followed_within_the_pictures_alone(linked: bool, tmp_path: Path) -> None:
    output, images = tmp_path / "out", tmp_path / ("disk" if linked else "out/images")
    (images / "deep").mkdir(parents=True)
    output.mkdir(exist_ok=True)
    if linked:  # whose folder of pictures lies on another disk
        (output / "images").symlink_to(images)
    private = tmp_path / "private" / "x.png"
    for file in (images / "a.png", images / "deep" / "b.png", private, output / "c.png"):
        storage.write_bytes(str(file), b"picture")
    for name, leads_to in {
        "within.png": images / "deep" / "b.png",
        "out.png": private,
        "up.png": output / "c.png",
        "nowhere.png": tmp_path / "nowhere.png",
        "folder": private.parent,
        "twice.png": images / "out.png",
    }.items():
        (images / name).symlink_to(leads_to)
    for name in ("a.png", "deep/b.png", "within.png", "missing.png"):
        assert picture_of(str(output), {"output_name": name}) == f"{output}/images/{name}"
    for name in ("out.png", "up.png", "nowhere.png", "folder/x.png", "twice.png"):
        assert picture_of(str(output), {"output_name": name}) is None
        with pytest.raises(storage.StorageError, match="if a link leads there, remove it"):
            find_picture(str(output), {"output_name": name})
