"""Default names of pictures: what people gave, made safe, and never a reason to compute anything again."""

import hashlib
import json
import re
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_kernel import StyleParams
from nst_kernel.version import ALGORITHM_VERSION
from pipeline.manifest import Records, Row, bad_output, derive_id, former_output, read_manifest
from pipeline.manifest.names import MAX_NAME, default_output, id_within, name_in_fingerprint, possible_outputs
from pipeline.planning import fingerprint

ID = "0f1e2d3c4b5a6978"
URIS = (
    st.none()
    | st.text(min_size=1, max_size=300)
    | st.sampled_from(["s3://b/CON.jpg", "/a/nul", "..", "a|b|c", "é.png"])
)
IDS = (
    st.from_regex("[0-9a-f]{16}", fullmatch=True)
    | st.text(min_size=1, max_size=200)
    | st.sampled_from(["CON", "aux.x"])
)


@pytest.mark.parametrize(
    ("content", "style", "name"),
    [
        ("/photos/cat.jpg", "s3://b/night.png", f"cat-night-{ID}.png"),
        ("/photos/my cat (1).v2.jpeg", "../night.webp", f"my_cat_1_v2-night-{ID}.png"),
        ("https://host/a%20b.jpg?token=x#y", "s3://b/n.png?versionId=7", f"a_b-n-{ID}.png"),
        ("cat.jpg", "night.png|starry.jpg", f"cat-night+starry-{ID}.png"),
        (None, "night.png", f"night-{ID}.png"),
        ("Café Łódź.jpg", "写真.png", f"Cafe_odz-{ID}.png"),
        (".hidden", "-rf.png", f"hidden-rf-{ID}.png"),
        ("con.old.jpg", "s.png", f"con_old-s-{ID}.png"),
        ("x" * 300 + ".jpg", "y" * 300 + ".jpg", f"{'x' * 60}-{'y' * 60}-{ID}.png"),
    ],
)
def test_names_are_made_from_contents_and_styles(content: str | None, style: str, name: str) -> None:
    assert default_output(ID, content, style) == name


@given(IDS, URIS, URIS)
def test_every_default_name_is_safe_and_known_as_one(id: str, content: str | None, style: str | None) -> None:
    name = default_output(id, content, style)
    assert re.fullmatch(r"[A-Za-z0-9._~%+-]+\.png", name)
    assert len(name) <= MAX_NAME
    assert not list(bad_output(name))
    assert not re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d)\.", name)  # devices of Windows
    assert name_in_fingerprint(name, id) == name_in_fingerprint(former_output(id), id) == former_output(id)
    assert possible_outputs(name, id) == {name, former_output(id)}


@given(st.sets(IDS, min_size=2, max_size=2), st.tuples(URIS, URIS), st.tuples(URIS, URIS))
def test_ids_keep_names_apart(
    ids: set[str], one: tuple[str | None, str | None], other: tuple[str | None, str | None]
) -> None:
    first, second = ids
    if hashlib.sha256(first.encode()).hexdigest()[:16] != second:
        assert default_output(first, *one) != default_output(second, *other)
    for id in ids:
        if re.fullmatch("[0-9a-f]{16}", id):
            assert id_within(default_output(id, *one)) == id


@pytest.mark.parametrize(("id", "name"), [("portrait", "portrait.png"), ("CON", "%43ON.png"), ("nul.x", "%6Eul.x.png")])
def test_an_id_that_somebody_gave_is_the_name(id: str, name: str) -> None:
    assert default_output(id, "cat.jpg", "night.png") == name


@pytest.mark.parametrize("name", ["", f"cat-night-{ID}.png", f"{ID}.png"])
def test_rows_done_under_the_former_default_are_done(name: str) -> None:
    """Their fingerprints have the former default, whichever of the two a row of theirs has now."""
    params = StyleParams()
    id = derive_id("/cat.jpg", "/night.png", params, "e")
    row = Row(
        id,
        "/cat.jpg",
        "/night.png",
        (name or default_output(id, "/cat.jpg", "/night.png")).replace(ID, id),
        params,
        "",
        1,
    )
    request = json.dumps([id, f"{id}.png", ALGORITHM_VERSION])
    found = fingerprint(row, "e", {"/cat.jpg": "1", "/night.png": "2"})
    assert found[:8] == hashlib.sha256(request.encode()).hexdigest()[:8]
    other = Row(id, "/cat.jpg", "/night.png", "mine.png", params, "", 1)
    assert fingerprint(other, "e", {"/cat.jpg": "1", "/night.png": "2"})[:8] != found[:8]


@pytest.mark.parametrize("id", [ID, "portrait", "my photo", "a/b", "é" * 100, "CON", "x-" + ID])
def test_names_of_every_version_are_known_as_defaults(id: str) -> None:
    """By formulas of earlier versions, as they stood: of the id alone, or of other words and the id."""
    former = f"{id if id.isascii() and id.isalnum() else urllib.parse.quote(id, safe='')}.png"
    former = former if len(former) <= 255 else f"{hashlib.sha256(id.encode()).hexdigest()[:16]}.png"
    words = [f"{words}-{id}.png" for words in ("Café-night", "cat", "a.jpg-b.jpg")] if id == ID else []
    for name in (former, default_output(id, "/cat.jpg", "/night.png"), *words):
        assert name_in_fingerprint(name, id) == former


@pytest.mark.parametrize(
    ("output", "id"),
    [
        ("my photo.png", "my photo"),
        ("a&b.png", "a&b"),
        ("portrait.jpg", "portrait"),
        (f"cats/a-{ID}.png", ID),
        (f"a-{ID}.jpg", ID),
        ("a-portrait.png", "portrait"),
    ],
)
def test_a_name_that_somebody_gave_is_no_default(output: str, id: str) -> None:
    """Rows that earlier versions computed under it are still done, though an id resembles it."""
    assert name_in_fingerprint(output, id) == output


@given(st.lists(st.sampled_from(["a.jpg", "b.jpg", "c é.jpg"]), min_size=1, max_size=4), st.booleans())
def test_a_name_does_not_depend_on_other_rows(contents: list[str], again: bool) -> None:
    def names(contents: list[str]) -> dict[str | None, str]:
        rows = [{"content": f"/{name}", "style": "/s.png", "seed": int(again)} for name in contents]
        return {row.content: row.output for row in read_manifest(Records(rows, "rows"), encoder_sha256="e").rows}

    together = names(contents)
    assert all(names([name])[f"/{name}"] == together[f"/{name}"] for name in contents)
