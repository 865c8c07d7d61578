"""What is written outlasts a power cut, what is read is whole, and what cannot be read is no "nothing there"."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import s3fs

from pipeline import storage
from pipeline.outputs import finished, grid_runs, parts
from pipeline.planning import Batch
from pipeline.recovery import Ledger, ledger
from pipeline.storage import StorageError
from pipeline.storage import _s3 as s3
from tests.pipeline.recovery.test_ledger import rows


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Storage repeats as often as by default, and at once."""
    monkeypatch.setenv("NST_STORAGE_FIRST_DELAY", "0")


class Noted:
    """A file whose writes and flushes are noted."""

    def __init__(self, file: Any, steps: list[str]) -> None:
        self.file, self.steps = file, steps

    def __getattr__(self, name: str) -> Any:
        if name in ("write", "flush"):
            self.steps.append(name)
        return getattr(self.file, name)

    def __enter__(self) -> "Noted":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@pytest.mark.parametrize("is_new", [False, True])
def test_the_bytes_are_durable_before_the_name_and_the_name_before_the_end(
    is_new: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    opened, fsync, replace, link = os.fdopen, os.fsync, Path.replace, os.link

    def synced(handle: int) -> None:
        steps.append("sync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "sync file")
        fsync(handle)

    def renamed(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    def linked(*names: Path) -> None:
        steps.append("link")
        link(*names)

    monkeypatch.setattr(os, "fdopen", lambda *how: Noted(opened(*how), steps))
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    monkeypatch.setattr(os, "link", linked)
    if is_new:
        assert storage.write_if(str(tmp_path / "a"), b"1", replaces=None)
    else:
        storage.write_bytes(str(tmp_path / "a"), b"1")
    assert steps == ["write", "flush", "sync file", "link" if is_new else "rename", "sync folder"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


class Short:
    """A file of a network mount that gives half of its bytes."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def read(self, size: int = -1) -> bytes:
        data: bytes = self.file.read(size)
        return data[: len(data) // 2]

    def __enter__(self) -> "Short":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def test_a_file_that_is_cut_short_is_read_again(
    tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    opened, kinds = os.fdopen, iter([Short, Short])
    monkeypatch.setattr(os, "fdopen", lambda *how: next(kinds, lambda file: file)(opened(*how)))
    assert storage.read_bytes(str(tmp_path / "a")) == b"0123456789"


@pytest.mark.parametrize("ends", [{"start": 2, "end": 8}, {"start": 2}, {}], ids=str)
def test_an_object_that_is_cut_short_is_read_again(
    ends: dict[str, int], bucket: str, tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is whole for the connection, so that nothing but the announced length tells."""
    uri, whole = f"{bucket}/{tmp_path.name}/a", b"0123456789"
    storage.write_bytes(uri, whole)
    get, cuts = s3.S3Store._get, iter([True, True])

    async def short(self: s3.S3Store, **options: str) -> tuple[Mapping[str, Any], bytes]:
        answer, data = await get(self, **options)
        return answer, data[:-1] if next(cuts, False) else data

    monkeypatch.setattr(s3.S3Store, "_get", short)
    assert storage.read_bytes(uri, **ends) == whole[ends.get("start") : ends.get("end")]
    assert next(cuts, None) is None


def test_an_object_with_a_wrong_byte_is_read_again(
    bucket: str, tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a store that sends no checksum but its ETag, which the client does not compare by itself."""
    uri = f"{bucket}/{tmp_path.name}/a"
    storage.write_bytes(uri, b"0123456789")
    get, damages = s3.S3Store._get, iter([True, True])

    async def damaged(self: s3.S3Store, **options: str) -> tuple[Mapping[str, Any], bytes]:
        answer, data = await get(self, **options)
        return answer, b"?" + data[1:] if next(damages, False) else data

    monkeypatch.setattr(s3.S3Store, "_get", damaged)
    assert storage.read_bytes(uri) == b"0123456789"


def test_a_large_object_that_was_cut_short_is_written_again(
    bucket: str, tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in parts has no checksum of its own."""
    pipe, cuts = s3fs.S3FileSystem._pipe_file, iter([True, True])

    async def short(self: object, path: str, data: bytes, **options: str) -> None:
        await pipe(self, path, data[:-1] if next(cuts, False) else data, **options)

    monkeypatch.setattr(s3, "SINGLE_PUT", 1000)
    monkeypatch.setattr(s3fs.S3FileSystem, "_pipe_file", short)
    uri = f"{bucket}/{tmp_path.name}/large"
    storage.write_bytes(uri, bytes(2000))
    assert len(storage.read_bytes(uri)) == 2000


def test_another_picture_of_as_many_bytes_has_another_identity(tmp_path: Path) -> None:
    file = tmp_path / "scan.bmp"
    file.write_bytes(b"before")
    first = storage.identity(str(file))
    (listed,) = storage.walk(str(tmp_path))
    assert listed.identity == first
    file.write_bytes(b"edited")
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert storage.identity(str(file)) != first


def test_markers_of_folders_are_no_files(bucket: str, tmp_path: Path) -> None:
    import boto3

    folder = f"{bucket}/{tmp_path.name}"
    client = boto3.client("s3")
    for key in ("", "empty/"):
        client.put_object(Bucket=bucket.removeprefix("s3://"), Key=f"{tmp_path.name}/{key}", Body=b"")
    storage.write_bytes(f"{folder}/a.png", b"1")
    assert storage.list_files(folder) == [entry.uri for entry in storage.walk(folder)] == [f"{folder}/a.png"]


class Refusing:
    """A store that refuses some requests."""

    def __init__(self, store: storage.Store, verbs: tuple[str, ...]) -> None:
        self.store, self.verbs = store, verbs

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        if verb in self.verbs:
            raise PermissionError(13, "Permission denied")
        method: Callable[..., Any] = getattr(self.store, verb)
        return method


@pytest.fixture
def refuse() -> Iterator[Callable[..., None]]:
    """Let requests to storage be refused from now on, by the names of `Store`'s methods."""
    undone: list[Callable[[], None]] = []
    yield lambda *verbs: undone.append(storage.intercept(lambda _, store: Refusing(store, verbs)))
    for undo in undone:
        undo()


LISTINGS: dict[str, Callable[[str], object]] = {
    "files": storage.list_files,
    "walk": lambda output: list(storage.walk(output)),
    "results": parts,
    "rows that are done": finished,
    "attempts": ledger.read_attempts,
    "crashes": ledger.collect_crashes,
    "attempts at a batch": lambda output: Ledger(output).open_attempts("optimise", rows(2)),
    "runs of a grid": grid_runs.all_runs,
}


@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
def test_a_folder_that_cannot_be_listed_is_not_empty(
    listing: Callable[[str], object], tmp_path: Path, refuse: Callable[..., None]
) -> None:
    refuse("page", "entries", "names_beginning")
    with pytest.raises(StorageError, match="no permission"):
        listing(str(tmp_path))


def test_a_sub_folder_that_cannot_be_listed_is_not_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, whom no mode stops: the operating system's answer is played here."""
    (tmp_path / "results").mkdir()
    scan = os.scandir

    def closed(path: str) -> Any:
        if str(path).endswith("results"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(StorageError, match="no permission"):
        storage.list_files(str(tmp_path))


def test_an_attempt_that_cannot_be_read_is_not_none(tmp_path: Path, refuse: Callable[..., None]) -> None:
    """Else a row that kills its process would be tried again and again while the ledger cannot be read."""
    Ledger(str(tmp_path)).record("optimise", Batch(tuple(rows(2))).rows)
    refuse("read")
    for verb in (ledger.read_attempts, ledger.collect_crashes):
        with pytest.raises(StorageError, match="no permission"):
            verb(str(tmp_path))
