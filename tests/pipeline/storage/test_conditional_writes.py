"""Writes under a condition: one of several writers succeeds, whatever the store is."""

import errno
import os
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest

from pipeline import storage


@pytest.fixture(params=["local", "memory", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{tmp_path.name}/lock"
    return str(tmp_path / "lock") if request.param == "local" else f"memory://{tmp_path.name}/lock"


def test_a_file_is_created_once(uri: str) -> None:
    assert storage.write_if(uri, b"first", replaces=None)
    assert not storage.write_if(uri, b"second", replaces=None)
    assert storage.read_bytes(uri) == b"first"


def test_a_file_is_replaced_while_it_is_the_expected_one(uri: str) -> None:
    storage.write_bytes(uri, b"stale")
    assert storage.write_if(uri, b"mine", replaces=storage.identity(uri))
    assert storage.read_bytes(uri) == b"mine"


def test_a_file_that_changed_meanwhile_is_left_alone(uri: str) -> None:
    storage.write_bytes(uri, b"stale")
    identity = storage.identity(uri)
    storage.write_bytes(uri, b"another run's")
    assert not storage.write_if(uri, b"mine", replaces=identity)
    assert storage.read_bytes(uri) == b"another run's"


def test_a_file_that_is_gone_meanwhile_is_not_replaced(uri: str) -> None:
    storage.write_bytes(uri, b"stale")
    identity = storage.identity(uri)
    storage.remove(uri)
    assert not storage.write_if(uri, b"mine", replaces=identity)
    with pytest.raises(storage.NotFound):
        storage.read_bytes(uri)


@pytest.mark.parametrize("has_links", [True, False])
@pytest.mark.parametrize("leads_to", ["photo", "nowhere"])
def test_no_file_is_made_in_the_place_of_a_link(
    leads_to: str, has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*names: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    if not has_links:
        monkeypatch.setattr(os, "link", refused)
    (tmp_path / "photo").write_bytes(b"mine")
    (tmp_path / "a").symlink_to(tmp_path / leads_to)
    assert not storage.write_if(str(tmp_path / "a"), b"1", replaces=None)
    assert storage.write_if(str(tmp_path / "b"), b"1", replaces=None)
    assert (tmp_path / "a").readlink() == tmp_path / leads_to
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "photo"]


def test_a_write_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(b"mine")
    (tmp_path / "a").symlink_to(tmp_path / "photo")
    storage.write_bytes(str(tmp_path / "a"), b"1")
    assert ((tmp_path / "photo").read_bytes(), (tmp_path / "a").read_bytes()) == (b"mine", b"1")
    assert not (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("leads_to", ["photo", "nowhere"])
def test_a_link_in_the_place_of_the_hidden_file_is_not_followed(
    leads_to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name cannot be guessed; this is for whoever can."""
    name = uuid.uuid4()
    monkeypatch.setattr(uuid, "uuid4", lambda: name)
    opened: list[int] = []
    open_ = os.open

    def noted(path: Any, flags: int, *mode: int) -> int:
        opened.append(flags)
        return open_(path, flags, *mode)

    monkeypatch.setattr(os, "open", noted)
    (tmp_path / "photo").write_bytes(b"mine")
    (tmp_path / f".{name.hex}.part").symlink_to(tmp_path / leads_to)
    with pytest.raises(storage.StorageError):
        storage.write_bytes(str(tmp_path / "a"), b"1")
    assert (tmp_path / "photo").read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "a").exists()
    assert opened[0] & os.O_NOFOLLOW
    assert opened[0] & os.O_EXCL


def test_an_object_that_is_made_once_has_its_type(bucket: str, tmp_path: Path) -> None:
    uri = f"{bucket}/{tmp_path.name}/a.png"
    assert storage.write_if(uri, b"1", replaces=None)
    name, _, key = uri.removeprefix("s3://").partition("/")
    assert boto3.client("s3").head_object(Bucket=name, Key=key)["ContentType"] == "image/png"
