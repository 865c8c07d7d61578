"""Canonical spellings: all names of one file are one, and nothing outside of a folder passes for being inside."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import storage
from pipeline.storage import Places, StorageError, canonical, check_inside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with photos, and links to it and to one of them."""
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    (tmp_path / "photos" / "a.jpg").write_bytes(b"1")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    (tmp_path / "a_link.jpg").symlink_to(tmp_path / "photos" / "a.jpg")
    return tmp_path


def test_all_names_of_a_file_are_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    whole = f"{folder}/photos/a.jpg"
    named = [
        whole,
        f"file://{whole}",
        f"local://{whole}",
        f"/{whole}",
        "photos/a.jpg",
        "./photos//a.jpg",
        "photos/deep/../a.jpg",
        f"{folder}/link/a.jpg",
        "file://link/deep/../a.jpg",
    ]
    assert {canonical(uri) for uri in named} == {canonical(whole)}
    assert {Places()(uri) for uri in named} == {canonical(whole)}
    assert canonical("a_link.jpg") == canonical(whole)
    for uri in ("a_link.jpg", "file://a_link.jpg", f"local://{folder}/a_link.jpg"):
        assert Places()(uri) == f"{os.path.realpath(folder)}/a_link.jpg"
    assert canonical("photos/new/b.jpg") == canonical(f"{folder}/link/new/b.jpg") != canonical(whole)


def test_case_counts_where_the_file_system_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upper, lower = f"{folder}/PHOTOS/A.JPG", f"{folder}/photos/a.jpg"
    assert canonical(upper) != canonical(lower)
    assert Places()(upper) != Places()(lower)
    monkeypatch.setattr(Path, "samefile", lambda one, other: str(one).casefold() == str(other).casefold())
    assert canonical(upper) == canonical(lower)
    assert Places()(upper) == Places()(lower) == canonical(lower)
    assert Places()(f"{folder}/photos/e\u0301.jpg") == Places()(f"{folder}/photos/\u00e9.jpg")


def test_an_empty_folder_is_asked_by_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    tried: list[str] = []

    def differ(_: Path, other: Path) -> bool:
        tried.append(other.name)
        return False

    monkeypatch.setattr(Path, "samefile", differ)
    canonical(str(tmp_path / "empty" / "new.jpg"))
    assert tried == ["EMPTY"]
    (tmp_path / "empty" / "7").write_bytes(b"")
    (tmp_path / "empty" / "a7").write_bytes(b"")
    canonical(str(tmp_path / "empty" / "new.jpg"))
    assert tried == ["EMPTY", "A7"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://b/images", "s3a://b/images"),
        ("s3://b//images", "s3://b/images/"),
        ("S3://b/x/../images", "s3://b/./images"),
        ("s3://b/a.jpg", "s3a://b//a.jpg?versionId=1"),
        ("gs://b/a", "gcs://b/a"),
        ("az://c/a", "abfs://c/a"),
        ("memory:///x/a", "memory://x/a"),
        ("s3://b/a::b.png", "s3a://b/a::b.png"),
    ],
)
def test_all_spellings_of_an_object_are_one(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)
    assert Places()(one) == Places()(other) == canonical(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("s3://b/A", "s3://b/a"), ("s3://b/a", "gs://b/a"), ("s3://b/a", "s3://c/a"), ("/b/a", "s3://b/a")],
)
def test_other_objects_are_others(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)
    assert Places()(one) != Places()(other)


NAMES = st.lists(
    st.sampled_from(["a", "b", "::", "x::y", "..", ".", "", "é", "s3:", "file:", "?versionId=1"]), min_size=1
)


@given(NAMES, st.sampled_from(["/data", "s3://bucket", "memory://x", "file:///data"]))
def test_a_place_is_its_own_canonical_spelling(names: list[str], root: str) -> None:
    place = canonical("/".join([root, *names]))
    assert canonical(place) == place
    assert place == Places()(place)


def test_what_is_not_inside_is_refused(folder: Path) -> None:
    out = f"{folder}/photos"
    (folder / "photos" / "elsewhere").symlink_to(folder / "outside")
    (folder / "outside").mkdir()
    for inside in (f"{out}/a.jpg", f"{out}/deep/new.jpg", f"file://{out}/x", f"{out}/elsewhere", f"{folder}/link/new"):
        check_inside(inside, out)
    for outside in (out, f"{out}/", f"{out}/../b", f"{out}/elsewhere/x", f"{folder}/photos2/x", "s3://b/photos/a"):
        with pytest.raises(StorageError, match="expected a place below"):
            check_inside(outside, out)
    for outside in ("s3://b/out/runs", "s3://b/out/runs/", "s3://b/out/runs/../x", "s3://b/out/runs2/a"):
        with pytest.raises(StorageError, match="expected a place below"):
            check_inside(outside, "s3://b/out/runs")


def test_deletion_stays_inside(folder: Path) -> None:
    out = folder / "photos"
    (out / "elsewhere").symlink_to(folder / "outside")
    (folder / "outside" / "deep").mkdir(parents=True)
    (folder / "outside" / "b.jpg").write_bytes(b"2")
    for uri in (f"{out}/elsewhere/b.jpg", f"{out}/../outside/b.jpg"):
        with pytest.raises(StorageError, match="expected a place below"):
            storage.remove(uri, inside=str(out))
    with pytest.raises(StorageError, match="expected a place below"):
        storage.remove_folder(f"{out}/elsewhere/deep", inside=str(out))
    storage.remove_folder(f"{out}/elsewhere", inside=str(out))
    assert not (out / "elsewhere").is_symlink()
    assert (folder / "outside" / "b.jpg").read_bytes() == b"2"


def test_links_in_a_folder_are_told(folder: Path) -> None:
    assert sorted(storage.links_in(str(folder))) == ["a_link.jpg", "link"]
    assert list(storage.links_in(f"{folder}/nowhere")) == list(storage.links_in("s3://bucket/x")) == []


def test_a_path_below_a_folder_is_found_whatever_the_spelling(folder: Path) -> None:
    assert storage.relative("s3://b/x//y.jpg", "s3a://b/x/") == "/y.jpg"
    assert storage.relative("memory:///x/a::b", "memory://x") == "a::b"
    assert storage.relative("/data/x/y", "local:///data") == storage.relative("file:///data/x/y", "/data/") == "x/y"
    assert storage.relative("s3://b", "s3://b") == ""
