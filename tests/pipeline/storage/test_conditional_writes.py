"""Writes under a condition: one of several writers succeeds, whatever the store is."""

from pathlib import Path

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
