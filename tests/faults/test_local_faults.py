"""Disks that are full, read-only or forbidden: a clear error, and nothing half written.

Tests may run as root, whom no mode stops: the operating system's answers are played.
"""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline import storage
from pipeline.storage import StorageError

REFUSALS = [
    (errno.ENOSPC, "no space is left there: free some, or choose another place"),
    (errno.EDQUOT, "the quota there is used up"),
    (errno.EROFS, "it is on a read-only file system: choose another place"),
    (errno.EACCES, "no permission: allow it to this user, or choose another place"),
    (errno.EPERM, "no permission"),
]
# Where each step of a write asks the operating system for something.
STEPS = ["open", "write", "fsync", "rename", "mkdir"]


def refuse(step: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    opened = os.fdopen

    def half(*args: Any) -> Any:
        file = opened(*args)
        raw = file.write
        return Half(file, lambda data: (raw(data[: len(data) // 2]), file.flush(), refused()))

    match step:
        case "open":
            monkeypatch.setattr(os, "open", refused)
        case "write":
            monkeypatch.setattr(os, "fdopen", half)
        case "fsync":
            monkeypatch.setattr(os, "fsync", refused)
        case "rename":
            monkeypatch.setattr(Path, "replace", refused)
        case "mkdir":
            monkeypatch.setattr(Path, "mkdir", refused)


class Half:
    """A file that takes half of what it is given."""

    def __init__(self, file: Any, write: Any) -> None:
        self.file, self.write = file, write

    def __enter__(self) -> "Half":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@pytest.mark.parametrize(("number", "said"), REFUSALS, ids=[errno.errorcode[number] for number, _ in REFUSALS])
@pytest.mark.parametrize("step", STEPS)
def test_a_write_that_is_refused(
    step: str, number: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, before = tmp_path / "a", storage.retries()
    storage.write_bytes(str(target), b"old")
    with monkeypatch.context() as patch:
        refuse(step, number, patch)
        with pytest.raises(StorageError, match=f"cannot write {target}: {said}"):
            storage.write_bytes(str(target), b"newer")
        with pytest.raises(StorageError, match=said):
            storage.check_writable(str(tmp_path))
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
    assert storage.retries() == before


def test_a_disk_that_turns_read_only_in_the_middle_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part cannot be deleted then: the first error is the one to tell."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "fsync", refused)
    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(StorageError, match="read-only file system"):
        storage.write_bytes(str(tmp_path / "a"), b"1")
    assert not (tmp_path / "a").exists()


def test_a_stale_handle_of_a_network_file_system_is_tried_again(
    tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"1")
    opened, errors = os.open, [errno.ESTALE] * 3

    def stale(path: Any, *args: Any, **options: Any) -> int:
        if errors and path == str(tmp_path / "a"):
            raise OSError(errors.pop(), "Stale file handle")
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", stale)
    before = storage.retries().get("ESTALE", 0)
    assert storage.read_bytes(str(tmp_path / "a")) == b"1"
    assert storage.retries()["ESTALE"] == before + 3
