"""Escapes in `file://` URIs: the file of the literal name if there is one, else the decoded one, in every place."""

import os
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.manifest import read_manifest
from pipeline.manifest.originals import same_file
from pipeline.options import RunOptions


def test_an_escaped_uri_reads_the_decoded_path_unless_the_literal_one_is_there(tmp_path: Path) -> None:
    (tmp_path / "my photo.jpg").write_bytes(b"decoded")
    uri = f"file://{tmp_path}/my%20photo.jpg"
    assert storage.read_bytes(uri) == b"decoded"
    assert storage.absolute(uri) == storage.canonical(uri) == str(tmp_path / "my photo.jpg")
    assert same_file(str(tmp_path / "my photo.jpg"), [uri]) == uri
    (tmp_path / "my%20photo.jpg").write_bytes(b"literal")
    assert storage.read_bytes(uri) == b"literal"
    assert storage.canonical(uri) == str(tmp_path / "my%20photo.jpg")


def test_any_letter_may_be_escaped(tmp_path: Path) -> None:
    for name in ("é ü.png", "100%.png", "a#b?c.png", os.fsdecode(b"\xff.png")):
        (tmp_path / name).write_bytes(b"1")
        assert storage.read_bytes((tmp_path / name).as_uri()) == b"1"
    names = {path.as_uri(): storage.identity(str(path)) for path in tmp_path.iterdir()}
    more = {f"file://{tmp_path}/none%20{number}": "" for number in range(30)}
    assert {uri: tag for uri, tag in storage.identities([*names, *more]).items() if uri in names} == names


@pytest.mark.parametrize("hidden", ["%2f", "%2F", "%00"])
def test_what_no_name_has_is_not_decoded(hidden: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.png").write_bytes(b"1")
    assert storage.local_path(f"file://{tmp_path}/deep%20{hidden}a.png") == f"{tmp_path}/deep {hidden}a.png"
    with pytest.raises(storage.NotFound):
        storage.read_bytes(f"file://{tmp_path}/deep{hidden}a.png")


def test_no_escape_leads_out_of_what_may_be_read(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "key").write_bytes(b"1")
    with storage.allowing(storage.Allowed((f"{tmp_path}/photos",), ())), pytest.raises(storage.Refused):
        storage.read_bytes(f"file://{tmp_path}/photos/%2e%2e/key")


def test_paths_and_other_stores_have_no_escapes(tmp_path: Path) -> None:
    assert storage.local_path(f"{tmp_path}/a%20b") == storage.local_path(f"local://{tmp_path}/a%20b")
    storage.write_bytes(f"{tmp_path}/a%20b", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["a%20b"]


def test_outputs_and_manifests_are_decoded(tmp_path: Path) -> None:
    assert RunOptions(output=f"file://{tmp_path}/my%20out").output == f"{tmp_path}/my out"
    assert RunOptions(output="s3://b/my%20out").output == "s3://b/my%20out"
    storage.write_bytes(f"file://{tmp_path}/my%20rows.csv", b"content,style\na.png,file:///b%20c.png\n")
    assert [path.name for path in tmp_path.iterdir()] == ["my rows.csv"]
    (row,) = read_manifest(f"file://{tmp_path}/my%20rows.csv", encoder_sha256="").rows
    assert (row.content, row.style) == (f"{tmp_path}/a.png", "file:///b%20c.png")
