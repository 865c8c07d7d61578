"""The error of a missing file names the one that was meant: another case, normal form or encoding of its name."""

import unicodedata
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.storage import neighbours


@pytest.fixture(autouse=True)
def forgetful() -> None:
    neighbours._names.cache_clear()


@pytest.mark.parametrize(
    ("there", "asked", "said"),
    [
        ("Photos/IMG.JPG", "photos/img.jpg", "capital letters"),
        (unicodedata.normalize("NFD", "é.jpg"), "é.jpg", "the normal form of its letters"),
        ("Ã©.jpg", "é.jpg", "the encoding of its letters"),
        ("my photo.jpg", "my%20photo.jpg", "the encoding of its letters"),
    ],
)
@pytest.mark.parametrize("scheme", ["file", "s3"])
def test_a_neighbour_is_named(tmp_path: Path, bucket: str, scheme: str, there: str, asked: str, said: str) -> None:
    folder = str(tmp_path) if scheme == "file" else f"{bucket}/{tmp_path.name}"
    storage.write_bytes(f"{folder}/{there}", b"x")
    with (
        pytest.raises(storage.NotFound, match=r"it does not exist; there is .* which differs in") as caught,
        storage.neighbours_named(),
    ):
        storage.read_bytes(f"{folder}/{asked}")
    assert f"there is {folder}/{there}, which differs in {said}" in str(caught.value)
    with pytest.raises(storage.NotFound, match=r"it does not exist$"):
        storage.read_bytes(f"{folder}/{asked}")  # what may well be missing is not looked for


def test_a_name_of_other_bytes_is_named_in_letters(tmp_path: Path) -> None:
    (tmp_path / "caf\udce9.jpg").write_bytes(b"x")
    said = r"there is .*caf\\udce9.jpg, which differs in the encoding"
    with pytest.raises(storage.NotFound, match=said), storage.neighbours_named():
        storage.read_bytes(str(tmp_path / "café.jpg"))


@pytest.mark.parametrize("uri", ["nowhere", "/nowhere/a/b.jpg", "a.jpg"])
def test_without_a_neighbour_the_error_is_as_it_was(tmp_path: Path, uri: str) -> None:
    with pytest.raises(storage.NotFound, match=r"it does not exist$"), storage.neighbours_named():
        storage.read_bytes(str(tmp_path / uri))
