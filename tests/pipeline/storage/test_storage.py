"""Reading and writing through one door: files of this machine, memory, and S3 as moto serves it."""

import errno
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import storage
from pipeline.storage import StorageError


@pytest.fixture(params=["file", "file://", "memory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"
    return {"file": str(tmp_path), "file://": f"file://{tmp_path}", "memory": f"memory:/{tmp_path}"}[request.param]


def test_what_was_written_is_read(folder: str) -> None:
    uri = storage.join(folder, "a", "b.bin")
    storage.write_bytes(uri, b"0123456789")
    assert storage.read_bytes(uri) == b"0123456789"
    assert storage.read_bytes(uri, start=2, end=5) == b"234"
    assert storage.read_bytes(uri, end=100) == b"0123456789"
    storage.write_bytes(uri, b"other")
    assert storage.read_bytes(uri) == b"other"


def test_a_folder_is_listed_a_file_is_itself(folder: str) -> None:
    names = ["x.csv", "deep/y.csv", "deep/er/z.txt"]
    for name in names:
        storage.write_bytes(storage.join(folder, name), name.encode())
    found = storage.list_files(folder)
    assert [storage.read_bytes(uri).decode() for uri in found] == sorted(names)
    assert [uri.rpartition("/")[2] for uri in storage.list_files(folder, suffix=".csv")] == ["y.csv", "x.csv"]
    assert storage.list_files(storage.join(folder, "x.csv")) == [storage.join(folder, "x.csv")]


CHAINS = [
    "a::b.png",
    "trip::1.png",
    "trip::2.png",
    "file::x.png",
    "s3::x.png",
    "memory::x",
    "::",
    "a::b::c.png",
    "trip",
]


def test_two_colons_in_a_name_are_letters(folder: str) -> None:
    """fsspec's parser of URLs takes `a::b` for the file `a` of a chain, and would read, write or delete that one."""
    uris = [storage.join(folder, name) for name in CHAINS]
    for number, uri in enumerate(uris):
        storage.write_bytes(uri, f"{number}".encode())
        assert storage.write_if(f"{uri}.new", b"", replaces=None)
        assert not storage.write_if(f"{uri}.new", b"", replaces=None)
    assert [storage.read_bytes(uri).decode() for uri in uris] == [str(number) for number in range(len(uris))]
    assert [storage.size(uri) for uri in uris] == [1] * len(uris)
    assert storage.identities(uris) == {uri: storage.identity(uri) for uri in uris}
    listed = {storage.relative(uri, folder) for uri in storage.list_files(folder)}
    assert listed == {*CHAINS, *(f"{name}.new" for name in CHAINS)}
    assert {storage.relative(entry.uri, folder) for entry in storage.walk(folder)} == listed
    for name in CHAINS[:-1]:
        storage.remove(storage.join(folder, name))
    assert storage.read_bytes(uris[-1]) == b"8"
    with pytest.raises(storage.NotFound):
        storage.read_bytes(uris[0])


def test_a_folder_may_have_colons_and_brackets_in_its_name(folder: str) -> None:
    odd, others = storage.join(folder, "a::b[1]"), [storage.join(folder, name, "x") for name in ("a::b1", "a", "a::b")]
    for uri in (storage.join(odd, "x"), storage.join(odd, "deep", "y"), *others):
        storage.write_bytes(uri, b"1")
    assert len(storage.list_files(odd)) == len(list(storage.walk(odd))) == 2
    storage.remove_folder(odd, inside=folder)
    assert all(storage.identities(others).values())
    assert sorted(storage.relative(uri, folder) for uri in storage.list_files(folder)) == ["a/x", "a::b/x", "a::b1/x"]


@pytest.mark.parametrize(
    "chain", ["simplecache::file://{0}", "reference://k.png::file://{0}", "zip://k.png::{0}", "filecache::{0}"]
)
def test_a_chain_of_file_systems_is_none(chain: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    with pytest.raises(StorageError, match="cannot read"):
        storage.read_bytes(chain.format(tmp_path / "a.png"))


def test_a_version_of_an_object_is_read_and_never_written(bucket: str) -> None:
    import boto3

    client, name = boto3.client("s3"), f"{bucket.removeprefix('s3://')}-versions"
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket=name, Key="versions/a.png", Body=b"first")["VersionId"]
    client.put_object(Bucket=name, Key="versions/a.png", Body=b"second!")
    uri = f"s3://{name}/versions/a.png"
    old = f"{uri}?versionId={first}"
    assert (storage.read_bytes(uri), storage.read_bytes(old)) == (b"second!", b"first")
    assert (storage.size(old), storage.read_bytes(old, start=1, end=3)) == (5, b"ir")
    assert storage.identity(old) != storage.identity(uri)
    for change in (storage.remove, lambda uri: storage.write_bytes(uri, b"x")):
        with pytest.raises(StorageError, match="is only read"):
            change(old)


def test_files_of_other_writers_are_seen_at_once(folder: str) -> None:
    storage.write_bytes(storage.join(folder, "one"), b"1")
    assert len(storage.list_files(folder)) == 1
    storage.write_bytes(storage.join(folder, "two"), b"2")
    assert len(storage.list_files(folder)) == 2


def test_removed_is_gone_and_twice_is_no_error(folder: str) -> None:
    uri = storage.join(folder, "a")
    storage.write_bytes(uri, b"1")
    storage.remove(uri)
    storage.remove(uri)
    with pytest.raises(storage.NotFound, match="does not exist"):
        storage.read_bytes(uri)


def test_an_empty_file_is_nothing(folder: str) -> None:
    uri = storage.join(folder, "empty")
    storage.write_bytes(uri, b"")
    assert storage.read_bytes(uri) == storage.read_bytes(uri, end=10) == storage.read_bytes(uri, start=5) == b""


def test_identity_tells_whether_a_file_changed(folder: str) -> None:
    uri = storage.join(folder, "a")
    storage.write_bytes(uri, b"1")
    first = storage.identity(uri)
    assert first == storage.identity(uri)
    storage.write_bytes(uri, b"22")
    assert storage.identity(uri) != first
    nowhere = storage.join(folder, "nowhere")
    found = storage.identities([uri, nowhere, uri])
    assert list(found) == [uri, nowhere]
    assert found[uri] == storage.identity(uri)
    assert "does not exist" in str(found[nowhere])


def test_a_folder_has_no_identity(tmp_path: Path, bucket: str) -> None:
    for uri in (str(tmp_path), bucket):
        with pytest.raises(storage.WrongKind, match="is a folder"):
            storage.identity(uri)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("page.html", "text/html; charset=utf-8"),
        ("a.JPG", "image/jpeg"),
        ("thumb.webp", "image/webp"),
        ("a.tiff", "image/tiff"),
        ("a.avif", "image/avif"),
        ("code.js", "text/javascript"),
        ("rows.parquet", "binary/octet-stream"),
        ("html", "binary/octet-stream"),
    ],
)
def test_a_browser_is_told_what_an_object_is(bucket: str, name: str, said: str) -> None:
    import boto3

    storage.write_bytes(f"{bucket}/types/{name}", b"bytes")
    found = boto3.client("s3").head_object(Bucket=bucket.removeprefix("s3://"), Key=f"types/{name}")
    assert found["ContentType"] == said


def test_a_bucket_is_a_folder(bucket: str) -> None:
    storage.write_bytes(storage.join(bucket, "in_the_bucket"), b"")
    assert storage.join(bucket, "in_the_bucket") in storage.list_files(bucket)
    with pytest.raises(storage.WrongKind, match="is a folder"):
        storage.check_no_folder(bucket)
    with pytest.raises(storage.NotFound, match="does not exist"):
        storage.list_files("s3://no-such-bucket")


def test_what_is_missing_is_named(folder: str) -> None:
    for verb in (storage.read_bytes, storage.list_files, storage.identity):
        with pytest.raises(storage.NotFound, match="nowhere"):
            verb(storage.join(folder, "nowhere"))


def test_check_writable_leaves_nothing(folder: str) -> None:
    storage.write_bytes(storage.join(folder, "there"), b"")
    storage.check_writable(folder)
    assert len(storage.list_files(folder)) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError("the answer was lost")])
def test_check_writable_leaves_nothing_when_it_is_interrupted(
    folder: str, error: BaseException | type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NST_STORAGE_ATTEMPTS", "1")

    class Interrupted:
        def __init__(self, store: Any) -> None:
            self.store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self.store, name)

        def write(self, path: str, data: bytes) -> None:
            self.store.write(path, data)
            raise error

    storage.write_bytes(storage.join(folder, "there"), b"")
    undo = storage.intercept(lambda _, store: Interrupted(store))
    try:
        with pytest.raises((KeyboardInterrupt, StorageError)):
            storage.check_writable(folder)
    finally:
        undo()
    assert [uri.rpartition("/")[2] for uri in storage.list_files(folder)] == ["there"]


def test_a_store_that_ignores_conditions_is_refused(folder: str) -> None:
    class Heedless:
        def __init__(self, store: Any) -> None:
            self.store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self.store, name)

        def write_if(self, path: str, data: bytes, replaces: str | None) -> bool:
            self.store.write(path, data)
            return True

    undo = storage.intercept(lambda _, store: Heedless(store))
    try:
        with pytest.raises(StorageError, match=r"If-None-Match.*heeds conditions"):
            storage.check_writable(folder)
    finally:
        undo()
    storage.write_bytes(storage.join(folder, "there"), b"")
    assert [uri.rpartition("/")[2] for uri in storage.list_files(folder)] == ["there"]


@pytest.mark.parametrize(
    ("links", "listed"),
    [
        ({"a/self": "."}, ["a/b/1.csv", "c/2.csv"]),
        ({"a/b/up": ".."}, ["a/b/1.csv", "c/2.csv"]),
        ({"a/other": "../c", "c/back": "../a"}, ["a/b/1.csv", "a/other/2.csv", "c/2.csv", "c/back/b/1.csv"]),
    ],
)
def test_a_link_that_leads_back_is_followed_once(tmp_path: Path, links: dict[str, str], listed: list[str]) -> None:
    """Else each file of a folder of manifests is listed forty times, until the system has enough of it."""
    for name in ("a/b/1.csv", "c/2.csv"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"")
    for link, target in links.items():
        (tmp_path / link).symlink_to(target, target_is_directory=True)
    assert [uri.removeprefix(f"{tmp_path}/") for uri in storage.list_files(str(tmp_path))] == listed


@pytest.mark.parametrize("name", ["EINVAL", "EBADF", "ENOTSUP", "ENOSYS"])
@pytest.mark.parametrize("step", ["open", "fsync"])
def test_a_file_system_that_flushes_no_folders_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, name: str
) -> None:
    """As SMB, some FUSE file systems and shared folders of virtual machines do."""
    real = getattr(os, step)

    def refusing(what: Any, *rest: Any, **options: Any) -> Any:
        if Path(f"/proc/self/fd/{what}" if isinstance(what, int) else what).is_dir():
            raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))
        return real(what, *rest, **options)

    monkeypatch.setattr(os, step, refusing)
    storage.check_writable(str(tmp_path))
    storage.write_bytes(str(tmp_path / "a"), b"1")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"1"]


def test_a_folder_that_cannot_be_flushed_for_another_reason_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def refusing(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").is_dir():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(handle)

    monkeypatch.setattr(os, "fsync", refusing)
    with pytest.raises(StorageError, match="cannot write"):
        storage.write_bytes(str(tmp_path / "a"), b"1")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(storage.WrongKind, match="is a folder"):
        storage.read_bytes(str(tmp_path))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write"):
        storage.check_writable(str(tmp_path / "file" / "below"))


def test_no_permission_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, whom no mode stops: the operating system's answer is played here."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a").write_bytes(b"1")
    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StorageError, match=r"cannot read .* no permission"):
        storage.read_bytes(str(tmp_path / "a"))
    with pytest.raises(StorageError, match=r"cannot write .* no permission"):
        storage.write_bytes(str(tmp_path / "a"), b"")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a"
    storage.write_bytes(str(target), b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space is left there: free some"):
        storage.write_bytes(str(target), b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("uri", ["gopher://a/b", "s3", "nonsense://"])
def test_an_unknown_scheme_is_a_clear_error(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="cannot read"):
        storage.read_bytes(uri)


NAME = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0\n\x85", exclude_categories=["Cs", "Cc"]), min_size=1
).filter(lambda name: name not in (".", "..") and "://" not in name)


@given(NAME, NAME)
def test_resolve_and_parent(base: str, name: str) -> None:
    for root in ("/data", "s3://bucket", "memory://x"):
        uri = storage.resolve(name, storage.join(root, base))
        assert uri == f"{root}/{base}/{name}"
        assert storage.parent(uri) == f"{root}/{base}"
        assert storage.resolve(uri, "/elsewhere") == uri


@pytest.mark.parametrize(
    ("text", "scheme"),
    [("s3://b/a://b", "s3"), ("a::b.png", ""), ("photos/see http://x.png", ""), ("/a/b://c", ""), ("://a", "")],
)
def test_only_what_comes_before_any_slash_is_a_scheme(text: str, scheme: str) -> None:
    assert storage.is_uri(text) == bool(scheme)
    assert (storage.local_path(text) is None) == bool(scheme)
    if not scheme and not text.startswith("/"):
        assert storage.resolve(text, "s3://b/x").startswith("s3://b/x/")


def test_a_relative_path_may_climb() -> None:
    assert storage.resolve("../photos/a.jpg", "/jobs/tonight") == "/jobs/photos/a.jpg"


def test_dots_mean_the_same_on_an_object_store() -> None:
    assert storage.resolve("./a.jpg", "s3://b/jobs") == "s3://b/jobs/a.jpg"
    assert storage.resolve("../photos/a.jpg", "s3://b/jobs/x") == "s3://b/jobs/photos/a.jpg"
    assert storage.resolve("odd..name//a.jpg", "s3://b/jobs") == "s3://b/jobs/odd..name//a.jpg"


@pytest.mark.skipif(os.geteuid() == 0, reason="no mode keeps root from reading")
def test_an_unreadable_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "a").chmod(0)
    with pytest.raises(StorageError, match="no permission"):
        storage.read_bytes(str(tmp_path / "a"))


def test_a_folder_in_the_place_of_a_file_is_found_out_before(tmp_path: Path) -> None:
    with pytest.raises(storage.WrongKind, match="is a folder"):
        storage.check_no_folder(str(tmp_path))
    storage.check_no_folder(str(tmp_path / "new.png"))


def test_what_a_death_in_the_middle_of_a_write_left_is_swept_away(tmp_path: Path, bucket: str) -> None:
    (tmp_path / "a").mkdir()
    left, fresh, other = tmp_path / "a" / ".0f.part", tmp_path / ".1f.part", tmp_path / "a" / "photo.part"
    for file in (left, fresh, other):
        file.write_bytes(b"half")
    for file in (left, other):
        os.utime(file, times=(time.time() - 60,) * 2)
    storage.sweep(str(tmp_path))
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == [fresh, other]
    for uri in (f"{bucket}/nothing", str(tmp_path / "nowhere")):
        storage.sweep(uri)


class Counting:
    """A store that counts the requests made to another one, and fails the first of each kind for a moment."""

    def __init__(self, store: storage.Store, requests: Counter[str]) -> None:
        self.store, self.requests = store, requests

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self.requests[verb] += 1
            if self.requests[verb] == 1:
                raise ConnectionResetError("reset")
            return getattr(self.store, verb)(*arguments)

        return counted


def test_requests_can_be_intercepted_and_are_repeated_as_any_other(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NST_STORAGE_FIRST_DELAY", "0.01")
    requests, uri = Counter[str](), storage.join(folder, "a")
    undo = storage.intercept(lambda of, store: Counting(store, requests) if of == uri else store)
    try:
        storage.write_bytes(uri, b"1")
        assert storage.read_bytes(uri) == b"1"
        storage.write_bytes(storage.join(folder, "b"), b"2")
        assert requests == {"write": 2, "read": 2}
    finally:
        undo()
    undo()
    assert storage.read_bytes(uri) == b"1"
    assert requests["read"] == 2
