"""Identities of many files: as if each were asked for by itself, with a request for each thousand."""

import itertools
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import storage
from pipeline.storage import StorageError, _identities, _local
from pipeline.storage import _s3 as s3
from pipeline.storage._store import Listing

_numbers = itertools.count()

NAMES = st.sampled_from([f"{stem}{number}.jpg" for stem in ("a", "é", "z ", "a/b", "b/", "-") for number in range(9)])


def one_by_one(uris: Sequence[str]) -> dict[str, str]:
    """What `identities` should say, errors as their text."""

    def one(uri: str) -> str:
        try:
            return storage.identity(uri)
        except StorageError as error:
            return str(error)

    return {uri: one(uri) for uri in uris}


@pytest.fixture(params=["file", "file://", "memory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"
    return {"file": str(tmp_path), "file://": f"file://{tmp_path}", "memory": f"memory:/{tmp_path}"}[request.param]


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(there=st.sets(NAMES, max_size=25), asked=st.sets(NAMES, max_size=40), worth=st.integers(1, 30))
def test_many_are_told_as_each_by_itself(folder: str, there: set[str], asked: set[str], worth: int) -> None:
    home = storage.join(folder, f"{next(_numbers)}")
    for name in there:
        storage.write_bytes(storage.join(home, name), name.encode())
    some = [storage.join(home, name) for name in sorted(asked, key=lambda name: zlib.crc32(name.encode()))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_identities, "_WORTH_LISTING", worth)
        patch.setattr(_identities, "_LISTED_TOGETHER", 7)
        found = storage.identities([*some, *some])
    assert list(found) == some
    assert {uri: str(known) for uri, known in found.items()} == one_by_one(some)


def watched(patch: pytest.MonkeyPatch) -> Counter[str]:
    """How often S3 is asked from now on, by method; it answers with pages of five files instead of a thousand."""
    requests: Counter[str] = Counter()
    originals = {name: getattr(s3.S3Store, name) for name in ("identity", "listing", "_list")}

    def counted(name: str) -> Callable[..., object]:
        def method(*arguments: object) -> object:
            requests[name] += 1
            return originals[name](*arguments)

        return method

    patch.setattr(s3.S3Store, "identity", counted("identity"))
    patch.setattr(s3.S3Store, "listing", counted("listing"))
    patch.setattr(s3.S3Store, "_list", lambda *where, **options: originals["_list"](*where, **options, MaxKeys=5))
    return requests


def filled(folder: str, count: int) -> list[str]:
    """Files there."""
    uris = [f"{folder}/{number:04d}.jpg" for number in range(count)]
    for uri in uris:
        storage.write_bytes(uri, b"1")
    return uris


def test_a_full_folder_costs_a_request_for_each_page(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uris = filled(f"{bucket}/{tmp_path.name}", 60)
    requests = watched(monkeypatch)
    monkeypatch.setattr(_identities, "_WORTH_LISTING", 4)
    assert all(storage.identities(uris).values())
    assert requests == {"listing": 12}


def test_a_few_files_of_a_large_folder_are_not_looked_for_in_all_of_it(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = filled(f"{bucket}/{tmp_path.name}", 60)[::3]
    requests = watched(monkeypatch)
    found = storage.identities(asked)
    assert requests == {"listing": 2, "identity": len(asked) - 4}
    assert {uri: str(known) for uri, known in found.items()} == one_by_one(asked)


def threads_that_list(store: type, patch: pytest.MonkeyPatch) -> list[int]:
    """The thread of each listing of a store, in order, from now on."""
    looking, listing = list[int](), vars(store)["listing"]

    def seen(*arguments: object) -> object:
        looking.append(threading.get_ident())
        return listing(*arguments)

    patch.setattr(store, "listing", seen)
    return looking


@pytest.mark.parametrize(("at_once", "here"), [(60.0, 4), (0.0, 1)])
def test_threads_look_only_where_a_folder_does_not_answer_at_once(
    at_once: float, here: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_identities, "_AT_ONCE", at_once)
    monkeypatch.setattr(_identities, "_LISTED_TOGETHER", 10)
    looking = threads_that_list(_local.LocalStore, monkeypatch)
    uris = filled(str(tmp_path), 40)
    assert {uri: str(known) for uri, known in storage.identities(uris).items()} == one_by_one(uris)
    assert (len(looking), looking.count(threading.get_ident())) == (4, here)


def test_a_store_elsewhere_is_asked_by_threads(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_identities, "_AT_ONCE", 60.0)
    looking = threads_that_list(s3.S3Store, monkeypatch)
    assert all(storage.identities(filled(f"{bucket}/{tmp_path.name}", 30)).values())
    assert looking
    assert threading.get_ident() not in looking


def test_who_may_not_list_asks_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> Listing:
        raise PermissionError("not allowed to list")

    monkeypatch.setattr(_local.LocalStore, "listing", forbidden)
    uris = [str(tmp_path / f"{number}") for number in range(30)]
    for uri in uris[:20]:
        storage.write_bytes(uri, b"1")
    assert {uri: str(known) for uri, known in storage.identities(uris).items()} == one_by_one(uris)


def test_links_and_folders_are_told_from_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "broken").symlink_to("nowhere")
    uris = [str(tmp_path / name) for name in ("file", "folder", "link", "broken", *map(str, range(20)))]
    assert {uri: str(known) for uri, known in storage.identities(uris).items()} == one_by_one(uris)


def test_only_what_is_in_a_folder_is_looked_for_there() -> None:
    names = [f"{number}.jpg" for number in range(30)]
    for folder in ("", "/", "file:///", "s3://bucket/a//"):
        assert _identities._neighbours([folder + name for name in names]) == []
    for folder in ("/a", "file:///a", "s3://bucket", "s3://bucket/a", "https://host/a"):
        assert _identities._neighbours([f"{folder}/{name}" for name in names]) == [(folder, sorted(names))]


def test_calls_in_threads_stay_in_order() -> None:
    assert list(storage.map_in_threads(lambda n: n * n, range(3000), threads=4)) == [n * n for n in range(3000)]
