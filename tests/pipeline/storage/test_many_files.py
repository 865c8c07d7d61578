"""Many files at once: listed by prefix, deleted together, uploads that were never completed, places with an account."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import s3fs
from botocore.exceptions import ClientError
from fsspec.implementations.memory import MemoryFileSystem

from pipeline import storage
from pipeline.storage import _call
from pipeline.storage import _s3 as s3
from pipeline.storage import _s3_deletion as deletion


@pytest.fixture(params=["file", "memory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"
    return str(tmp_path) if request.param == "file" else f"memory:/{tmp_path}"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Requests to S3 by their names, as they are made."""
    requests: Counter[str] = Counter()
    call = s3fs.S3FileSystem._call_s3

    async def counted(self: Any, method: str, *arguments: Any, **options: Any) -> Any:
        requests[method] += 1
        return await call(self, method, *arguments, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", counted)
    return requests


def test_files_are_listed_by_what_their_names_begin_with(folder: str) -> None:
    assert storage.names_beginning(folder, "a") == []
    for name in ("a-2", "a-1", "b-1", "a/a-3", "a["):
        storage.write_bytes(storage.join(folder, name), b"")
    assert storage.names_beginning(folder, "a-") == ["a-1", "a-2"]
    assert storage.names_beginning(folder, "a") == ["a-1", "a-2", "a["]


def test_files_are_deleted_together_and_no_others(folder: str) -> None:
    names = [*(f"{number}*" for number in range(40)), "x[1]"]
    for name in (*names, "x1", "0", "deep/1*"):
        storage.write_bytes(storage.join(folder, name), b"")
    storage.remove_files(folder, [*names, "gone"])
    left = {storage.relative(uri, folder) for uri in storage.list_files(folder)}
    assert left == {"x1", "0", "deep/1*"}
    storage.remove_files(folder, [])


@pytest.mark.parametrize("name", ["", ".", "..", "deep/1", "../1"])
def test_a_name_does_not_lead_out_of_its_folder(name: str, folder: str) -> None:
    with pytest.raises(ValueError, match="no name in a folder"):
        storage.remove_files(folder, [name])


def test_s3_deletes_a_thousand_with_one_request(bucket: str, tmp_path: Path, asked: Counter[str]) -> None:
    storage.remove_files(f"{bucket}/{tmp_path.name}", [f"{number}" for number in range(1001)])
    assert asked == {"delete_objects": 2}


def refused(code: str) -> Exception:
    """An answer of a store as s3fs passes it on."""
    error = OSError(5, code)
    error.__cause__ = ClientError({"Error": {"Code": code}}, "DeleteObjects")
    return error


@pytest.mark.parametrize("code", ["NotImplemented", "AccessDenied"])
def test_a_store_that_cannot_delete_many_deletes_one_by_one(code: str) -> None:
    deleted: list[str] = []

    def call(method: str, **options: Any) -> dict[str, Any]:
        if method == "delete_objects":
            raise refused(code)
        deleted.append(options["Key"])
        return {}

    deletion.delete(call, "bucket", ["a", "b"])
    assert deleted == ["a", "b"]


def test_what_was_not_deleted_for_the_moment_is_deleted_later(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 answers that the request succeeded, and in it that an object could not be deleted."""
    monkeypatch.setenv("NST_STORAGE_FIRST_DELAY", "0")
    folder, busy = f"{bucket}/{tmp_path.name}", iter([True, True])
    storage.write_bytes(f"{folder}/a", b"")
    call = s3.S3Store._call

    def refusing(self: s3.S3Store, method: str, **options: Any) -> Any:
        if method == "delete_objects" and next(busy, False):
            return {"Errors": [{"Key": "a", "Code": "SlowDown", "Message": "Reduce your request rate."}]}
        return call(self, method, **options)

    monkeypatch.setattr(s3.S3Store, "_call", refusing)
    storage.remove_files(folder, ["a"])
    assert storage.names_beginning(folder, "a") == []
    busy = iter([True] * 99)
    with pytest.raises(storage.StorageError, match="SlowDown"):
        storage.remove_files(folder, ["a"])


def uploads(bucket: str) -> list[str]:
    """Keys of the uploads that are not completed."""
    answer = boto3.client("s3").list_multipart_uploads(Bucket=bucket.removeprefix("s3://"))
    return sorted(upload["Key"] for upload in answer.get("Uploads", []))


def begin(bucket: str, *keys: str) -> None:
    """Begin uploads that nobody completes."""
    for key in keys:
        boto3.client("s3").create_multipart_upload(Bucket=bucket.removeprefix("s3://"), Key=key)


def test_an_upload_that_takes_too_long_is_aborted(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """s3fs is cancelled in the middle of it; uploads of other objects stay."""
    key = f"{tmp_path.name}/large"

    async def cancelled(*_: Any, **__: Any) -> None:
        begin(bucket, key)
        raise TimeoutError

    monkeypatch.setenv("NST_STORAGE_ATTEMPTS", "1")
    monkeypatch.setattr(s3, "SINGLE_PUT", 0)
    monkeypatch.setattr(s3fs.S3FileSystem, "_pipe_file", cancelled)
    begin(bucket, f"{key}.other")
    with pytest.raises(storage.StorageError, match="timeout"):
        storage.write_bytes(f"{bucket}/{key}", b"1")
    assert uploads(bucket) == [f"{key}.other"]
    storage.sweep(bucket)


def test_uploads_of_crashed_processes_are_swept_and_no_others(bucket: str, tmp_path: Path) -> None:
    home = tmp_path.name
    begin(bucket, f"{home}/images/a.png", f"{home}/mine.png", f"{home}-2/images/a.png")
    storage.sweep(f"{bucket}/{home}", is_ours=lambda below: below.startswith("images/"), older=1e9)
    assert len(uploads(bucket)) == 3
    storage.sweep(f"{bucket}/{home}", is_ours=lambda below: below.startswith("images/"), older=60)
    assert uploads(bucket) == [f"{home}-2/images/a.png", f"{home}/mine.png"]
    storage.sweep(bucket)
    assert uploads(bucket) == []


@pytest.mark.parametrize("code", ["AccessDenied", "NotImplemented", "MethodNotAllowed"])
def test_uploads_that_may_not_be_listed_are_left(
    code: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(self: s3.S3Store, method: str, **options: Any) -> Any:
        raise PermissionError(code) if code == "AccessDenied" else refused(code)

    monkeypatch.setattr(s3.S3Store, "_call", refusing)
    storage.sweep(f"{bucket}/{tmp_path.name}")


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts whose files are asked for, of a store that has them in its URIs and not in its paths, as Azure's."""
    asked: list[str] = []

    def path_of(uri: str) -> str:
        if not uri.startswith("abfs://"):
            return uri
        authority, slash, below = uri.removeprefix("abfs://").partition("/")
        return f"/{authority.partition('@')[0]}{slash}{below}".rstrip("/")

    def noted(uri: str) -> dict[str, str]:
        asked.append(uri.removeprefix("abfs://").partition("/")[0].partition("@")[2])
        return {}

    parts = {"protocol": ("abfs",), "store": {}, "cachable": False}
    ways = {"_strip_protocol": staticmethod(path_of), "_get_kwargs_from_urls": staticmethod(noted)}
    store = type("Accounts", (MemoryFileSystem,), parts | ways)
    monkeypatch.setattr(_call, "get_filesystem_class", lambda _: store)
    return asked


LISTINGS: dict[str, Callable[[str], list[str]]] = {
    "files": storage.list_files,
    "walk": lambda folder: [entry.uri for entry in storage.walk(folder)],
}


@pytest.mark.parametrize("home", ["/run", "/run/", ""])
@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
def test_files_of_an_account_are_listed_so_that_they_can_be_opened(
    listing: Callable[[str], list[str]], home: str, accounts: list[str]
) -> None:
    account = "studio.dfs.core.windows.net"
    folder = f"abfs://photos@{account}{home}"
    names = ["a.png", "deep/b@c.png"]
    for name in names:
        storage.write_bytes(f"{folder.rstrip('/')}/{name}", name.encode())
    found = listing(folder)
    assert found == [f"{folder.rstrip('/')}/{name}" for name in names]
    assert [storage.read_bytes(uri).decode() for uri in found] == names
    assert [storage.relative(uri, folder) for uri in found] == names
    storage.remove_files(folder, ["a.png"])
    assert len(listing(folder)) == 1
    storage.remove(found[1])
    assert set(accounts) == {account}
